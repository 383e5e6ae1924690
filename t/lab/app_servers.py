# SPDX-License-Identifier: Apache-2.0
"""Tomcat, Jetty, Node.js and nginx as backends, configured by the blocks of a page.

Debian's packages tomcat10, jetty9, nodejs and nginx-light, and:
EAS_T_NODE_MODULES=DIR  where npm has installed `kerberos`
EAS_T_NGINX_SPNEGO=FILE the dynamic module made of spnego-http-auth-nginx-module
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

from .pages import RECIPES, TEXT
from .wait import Daemon, answers, free_port

LIMIT = re.compile(r' maxHttpHeaderSize="\d+"|jetty\.httpConfig\.requestHeaderSize=\d+|'
                   r"maxHeaderSize: \d+,? ?|large_client_header_buffers [^;]*;")
PAGE = '<%@ page session="true" %><%= request.getRemoteUser() %>'
WEB_XML = """<web-app xmlns="{schema}" version="{version}">
{security}
</web-app>
"""
SERVER_XML = """<Server port="-1">
  <Service name="Catalina">
    <Connector address="127.0.0.1" port="{port}" protocol="HTTP/1.1"{limit} />
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" autoDeploy="false" />
    </Engine>
  </Service>
</Server>
"""
START_INI = """--module=http,deploy,jsp
jetty.http.host=127.0.0.1
jetty.http.port={port}
{limit}
"""
NGINX_CONF = """load_module {module};
user root;
error_log {path}/error.log;
pid {path}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {path}/body;
    proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi;
    scgi_temp_path {path}/scgi;
{server}
}}
"""


def block(language: str, mark: str) -> str:
    found, = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", TEXT[RECIPES],
                                          re.DOTALL | re.MULTILINE) if mark in text]
    return found


def said(pattern: str) -> str:
    """Words of the page in a code span."""
    return re.search(rf"`({pattern})`", TEXT[RECIPES])[1]


@dataclass(frozen=True)
class Place:
    """Of a server: its directory, port and keytab; *program* is behind nginx. *adapt* turns the
    page's names and paths into the lab's, and then makes a test's own changes."""
    path: Path
    port: int
    keytab: Path
    krb5_conf: Path
    program: str
    adapt: Callable[[str], str]


def tomcat(place: Place) -> Daemon:
    conf, app = place.path / "conf", place.path / "webapps/ROOT"
    for directory in (conf, app / "META-INF", app / "WEB-INF", place.path / "logs",
                      place.path / "temp", place.path / "work"):
        directory.mkdir(parents=True)
    _app(place, app, "https://jakarta.ee/xml/ns/jakartaee", "6.0")
    (app / "META-INF/context.xml").write_text(place.adapt(block("xml", "<Context>")))
    limit = place.adapt(" " + said("maxHttpHeaderSize=[^`]*"))
    (conf / "server.xml").write_text(SERVER_XML.format(port=place.port, limit=limit.rstrip()))
    (conf / "jaas.conf").write_text(place.adapt(block("jaas", "accept")))
    (conf / "krb5.ini").symlink_to(place.krb5_conf)
    for name in ("catalina.properties", "web.xml"):
        shutil.copy(Path("/usr/share/tomcat10/etc") / name, conf)
    return Daemon("tomcat", ["/usr/share/tomcat10/bin/catalina.sh", "run"],
                  place.path / "output", {"CATALINA_BASE": str(place.path),
                                          "CATALINA_HOME": "/usr/share/tomcat10"})


def jetty(place: Place) -> Daemon:
    webapps, app = place.path / "webapps", place.path / "webapps/ROOT"
    for directory in (app / "WEB-INF", place.path / "resources", place.path / "temp"):
        directory.mkdir(parents=True)
    _app(place, app, "http://xmlns.jcp.org/xml/ns/javaee", "3.1")
    users = place.path / "users.properties"
    users.write_text(block("properties", "alice"))
    (webapps / "ROOT.xml").write_text(
        place.adapt(block("xml", "ConfigurableSpnegoLoginService"))
        .replace("/etc/jetty9/users.properties", str(users))
        .replace("/var/lib/jetty9/webapps", str(webapps)))
    (place.path / "start.ini").write_text(START_INI.format(
        port=place.port, limit=place.adapt(said(r"jetty\.httpConfig\.requestHeaderSize=\d+"))))
    return Daemon("jetty", ["java", f"-Djava.security.krb5.conf={place.krb5_conf}",
                            f"-Djava.io.tmpdir={place.path}/temp", "-jar",
                            "/usr/share/jetty9/start.jar", "jetty.home=/usr/share/jetty9",
                            f"jetty.base={place.path}"], place.path / "output")


def node(place: Place) -> Daemon:
    program = place.path / "server.js"
    program.write_text(place.adapt(block("javascript", "kerberos")))
    return Daemon("node", ["node", str(program)], place.path / "output",
                  {"KRB5_KTNAME": str(place.keytab), "KRB5_CONFIG": str(place.krb5_conf),
                   "NODE_PATH": os.environ["EAS_T_NODE_MODULES"]})


def nginx(place: Place) -> Daemon:
    conf = place.path / "nginx.conf"
    server = place.adapt(block("nginx", "auth_gss")).replace("http://127.0.0.1:3000", place.program)
    conf.write_text(NGINX_CONF.format(module=os.environ["EAS_T_NGINX_SPNEGO"], path=place.path,
                                      server=server))
    return Daemon("nginx", ["/usr/sbin/nginx", "-p", str(place.path), "-c", str(conf), "-g",
                            "daemon off;"], place.path / "output",
                  {"KRB5_CONFIG": str(place.krb5_conf)})


def _app(place: Place, app: Path, schema: str, version: str) -> None:
    (app / "index.jsp").write_text(PAGE)
    (app / "WEB-INF/web.xml").write_text(WEB_XML.format(
        schema=schema, version=version, security=place.adapt(block("xml", "login-config"))))


SERVERS: Mapping[str, Callable[[Place], Daemon]] = {"tomcat": tomcat, "jetty": jetty,
                                                    "node": node, "nginx": nginx}


class AppServer:
    """One of them. *more* are a test's changes of the blocks; without *raised*, the limit of the
    request's header is the server's own."""

    def __init__(self, kind: str, path: Path, keytab: Path, krb5_conf: Path, program: str,
                 raised: bool = True, more: Mapping[str, str] = {}) -> None:
        path.mkdir()
        self.port = free_port()
        names = {"CORP.EXAMPLE.COM": "CORP.EXAMPLE.TEST", "example.com": "example.test",
                 "/etc/tomcat10/cas1.keytab": str(keytab),
                 "/etc/nginx/cas1.keytab": str(keytab),
                 "/etc/jetty9/cas1.keytab": str(keytab),
                 "listen 8080": f"listen 127.0.0.1:{self.port}",
                 ".listen(8080": f".listen({self.port}", **more}

        def adapt(text: str) -> str:
            for old, new in names.items():
                text = text.replace(old, new)
            return text if raised else LIMIT.sub("", text)
        self._daemon = SERVERS[kind](Place(path, self.port, keytab, krb5_conf, program, adapt))

    @property
    def url(self) -> str:
        return f"http://cas1.corp.example.test:{self.port}"

    def start(self) -> "AppServer":
        self._daemon.start(lambda: answers(self.port), 120)
        return self

    def stop(self) -> None:
        self._daemon.stop()
