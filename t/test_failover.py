# SPDX-License-Identifier: Apache-2.0
"""A balancer whose members are different services: each gets tickets of its own, and no member is
blamed for what is a user's fault."""

import itertools
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import CAS1, CAS2, CAS3, PASSWORDS, REALM, UPN_SUFFIX
from lab.client import assert_unavailable
from lab.exchange import ask, location
from lab.fake_backend import always_401
from lab.kerberos import Acceptor
from lab.sanitizer import LIBRARY
from lab.simulated import PerRequest
from lab.wait import until

FAILOVERS = 1000
USERS = [f"user{n:02}" for n in range(1, 9)]


# A dead member is tried again whenever it is its turn.
PERSISTENT = {"parameters": "retry=0", "settings": "    ProxySet maxattempts=20"}


def balancer(*members, parameters="retry=600", settings=""):
    lines = "\n".join(f'    BalancerMember "{member.url}" {parameters}' for member in members)
    return f'<Proxy "balancer://cas">\n{lines}\n{settings}\n</Proxy>\n' + location("balancer://cas")


@pytest.fixture
def acceptors(domain, lab_dir):
    """cas1's and cas2's, which hold their own key and not the other's."""
    return [PerRequest(Acceptor(domain.export_keytab(lab_dir / f"only-{name}.keytab", [spn])))
            for name, spn in (("cas1", CAS1), ("cas2", CAS2))]


@pytest.mark.parametrize("reuse", ["On", "Off"])
def test_one_member_is_down(gateway, fake_backends, acceptors, reuse):
    """1 000 times the first choice is dead, and the second gets its own ticket.

    One request at a time: mod_proxy ends the failover with 503 where the failed member is usable
    again, and with retry=0 another thread that looks for a member makes it so."""
    dead, alive = (fake_backends(script, short, proves=False)
                   for script, short in zip(acceptors, ("cas1", "cas2")))
    dead.stop()
    gw = gateway(f"EasKcdRequireTLS Off\nEasKcdBackendReuse {reuse}\n"
                 + balancer(dead, alive, **PERSISTENT), tls=False, processes=1)
    gw.expect("AH00957", "AH00959", "AH01114")
    with gw.client() as client:
        for count, user in zip(range(1, 2 * FAILOVERS), itertools.cycle(USERS)):
            assert ask(client, "/eas", user).status == 200
            # Nearly every request: it is the dead member's turn unless that has failed in this
            # very moment.
            if count >= FAILOVERS and gw.error_log.text().count("AH01114") >= FAILOVERS:
                break
        else:
            raise AssertionError("the dead member was hardly ever the first choice")
    assert acceptors[1].errors == [] and acceptors[1].seen == {"accepted": count}
    assert not {"EAS2050", "EAS2056", "EAS2063"} & set(gw.error_log.tags())


def test_one_member_flaps(gateway, fake_backends, acceptors):
    """It comes and goes, with connections that are in use."""
    flapping, steady = (fake_backends(script, short, proves=False)
                        for script, short in zip(acceptors, ("cas1", "cas2")))
    gw = gateway("EasKcdRequireTLS Off\n" + balancer(flapping, steady, **PERSISTENT),
                 tls=False)
    gw.expect("AH00957", "AH00959", "AH01114")
    gw.allow("AH01102", "AH00898", "AH00940", "AH10154", "AH01097", "AH01084", "AH01104",
             "EAS2057", because="it depends on the moment where a member leaves a request")
    stop = threading.Event()

    def flap():
        for _ in range(15):
            flapping.stop()
            stop.wait(0.1)
            flapping.resume()
            stop.wait(0.1)
        stop.set()

    def work(user):
        statuses = []
        while not stop.is_set():
            statuses.append(ask(gw, "/eas", user).status)
        return statuses

    with ThreadPoolExecutor(len(USERS) + 1) as pool:
        flapper = pool.submit(flap)
        running = [pool.submit(work, user) for user in USERS]
        statuses = [status for result in running for status in result.result()]
        flapper.result()
    # 502 and 503: the request was at the member when it left, with half an answer or with none.
    assert set(statuses) <= {200, 502, 503}
    assert statuses.count(200) > len(statuses) * 3 // 4
    for script in acceptors:
        assert script.errors == [] and set(script.seen) == {"accepted"}
    assert not {"EAS2050", "EAS2056", "EAS2063"} & set(gw.error_log.tags())


@pytest.mark.parametrize("status", ["502,503", "401,403,500,502,503"])
def test_errors_of_one_user_disable_no_member(gateway, fake_backends, acceptors, status):
    """The backends take a dislike to bob, sandra may not be delegated, and alice's answers have no
    proof: carol is served by both members as before."""
    def moody(script):
        def serve(request):
            answer = script(request)
            if b"bob@" in answer:
                return always_401(request)
            if b"alice@" in answer:
                return answer.replace(b"WWW-Authenticate", b"X-Nothing", 1)
            return answer
        return serve

    members = [fake_backends(moody(script), short, proves=False)
               for script, short in zip(acceptors, ("cas1", "cas2"))]
    gw = gateway(balancer(*members, settings=f"    ProxySet failonstatus={status}"), processes=1)
    gw.expect("EAS2030", "EAS2052", "EAS2063")
    for _ in range(3):
        assert gw.get("/eas", "sandra", PASSWORDS["sandra"]).status == 403
        assert ask(gw, "/eas", "bob").status == 503
        assert ask(gw, "/eas", "alice").status == 502
        hosts = {dict(answer.json()["headers"])["Host"]
                 for answer in (ask(gw, "/eas", "carol") for _ in range(4))
                 if answer.json()["remote_user"] == f"carol@{REALM}"}
        assert len(hosts) == 2


# --- a member that gets no tickets ------------------------------------------------------------

# The mark of a dead member would stay for an hour, or not at all.
PATIENCE = ["retry=3600", "retry=0"]


@pytest.fixture
def members(fake_backends, per_request):
    """cas1, to which the gateway may delegate, and cas3, to which nobody may."""
    return [fake_backends(per_request, short, proves=False) for short in ("cas1", "cas3")]


def statuses(gw, user, number):
    with gw.client() as client:
        return [ask(client, "/eas", user).status for _ in range(number)]


def times_marked(gw):
    return gw.error_log.text().count("EAS2086")


@pytest.mark.smoke
@pytest.mark.parametrize("parameters", PATIENCE)
@pytest.mark.parametrize("tag", ["EAS2032", "EAS2033"])
def test_member_without_tickets(gateway, members, per_request, tag, parameters):
    """All requests are served by the other member.  The KDC is asked once for all users."""
    good, refused = members
    url = refused.url if tag == "EAS2032" else refused.url.replace(refused.host, "localhost")
    gw = gateway(f"""<Proxy "balancer://cas">
    BalancerMember "{url}" {parameters}
    BalancerMember "{good.url}" {parameters}
</Proxy>
""" + location("balancer://cas"), processes=1)
    gw.expect(tag, "EAS2086")
    with gw.client() as client:
        assert client.get("/eas", "alice", PASSWORDS["alice"]).header("Retry-After") is None
        assert [ask(client, "/eas", "alice").status for _ in range(3)] == [200] * 3
    logged = gw.requests()[0]
    assert (logged["status"], logged["EAS_KCD_SPN"], logged["EAS_KCD_ERROR"]) == ("200", CAS1, "-")
    assert statuses(gw, "bob", 4) == statuses(gw, "carol", 4) == [200] * 4
    assert gw.error_log.tags().count(tag) == times_marked(gw) == 1
    assert refused.requests == [] and per_request.seen == {"accepted": 12}


@pytest.mark.parametrize("where", ["virtual host", "one of many"])
def test_balancer_that_mod_proxy_has_copied(gateway, members, where):
    """It copies the balancers of a virtual host, and those before an eleventh."""
    good, refused = members
    conf = balancer(refused, good, parameters=PATIENCE[0])
    if where == "one of many":
        conf += "".join(f"""<Proxy "balancer://other{number}">
    BalancerMember "http://127.0.0.{number + 1}"
</Proxy>
""" for number in range(10))
    else:
        conf = f"<VirtualHost *>\nSSLEngine On\n{conf}</VirtualHost>\n"
    gw = gateway(conf, processes=1)
    gw.expect("EAS2032", "EAS2086")
    assert statuses(gw, "alice", 4) == [200] * 4
    assert refused.requests == [] and times_marked(gw) == 1


@pytest.mark.parametrize("parameters", PATIENCE)
def test_member_that_gets_tickets_again(gateway, domain, members, parameters):
    """The mark ends by itself, soon after AD is corrected."""
    good, refused = members
    gw = gateway(balancer(refused, good, parameters=parameters))
    gw.expect("EAS2032", "EAS2086")
    assert statuses(gw, "alice", 4) == [200] * 4
    domain.allow_delegation("gateway", [CAS3])
    try:
        until(lambda: statuses(gw, "alice", 2) == [200] * 2 and refused.requests, 25,
              "a request at the member that was marked")
    finally:
        domain.revoke_delegation("gateway", [CAS3])


def test_refusal_of_one_user_marks_no_member(gateway, domain, fake_backends, per_request):
    """A member that gets tickets is marked only after two users have been refused: one refusal
    may concern that user alone."""
    first, spare = (fake_backends(per_request, short, proves=False) for short in ("cas2", "cas1"))
    gw = gateway(f"""<Proxy "balancer://cas">
    BalancerMember "{first.url}" retry=3600
    BalancerMember "{spare.url}" status=+H
</Proxy>
""" + location("balancer://cas"), processes=1)
    gw.expect("EAS2032", "EAS2086")
    assert statuses(gw, "alice", 2) == [200] * 2
    domain.revoke_delegation("gateway", [CAS2])
    try:
        for _ in range(2):
            assert_unavailable(gw.get("/eas", "bob", PASSWORDS["bob"]))
        assert (len(first.requests), spare.requests, times_marked(gw)) == (2, [], 0)
        assert statuses(gw, "alice", 1) == [200]
        assert statuses(gw, "carol", 2) == statuses(gw, "bob", 1) * 2 == [200] * 2
        assert (len(first.requests), len(spare.requests)) == (3, 3)
        assert times_marked(gw) == 1
    finally:
        domain.allow_delegation("gateway", [CAS2])


def test_spellings_of_one_user_mark_no_member(gateway, domain, fake_backends, per_request):
    """Another module may name a user by the account and by the UPN."""
    first, spare = (fake_backends(per_request, short, proves=False) for short in ("cas2", "cas1"))
    gw = gateway(f"""<Proxy "balancer://cas">
    BalancerMember "{first.url}" retry=3600
    BalancerMember "{spare.url}" status=+H
</Proxy>
EasKcdDomain {UPN_SUFFIX} {REALM}
""" + location("balancer://cas", "EasKcdProtocolTransition On",
               'EasKcdDelegateUser "%{HTTP:X-User}"', require="Require all granted"),
                 processes=1, account="gateway2")
    gw.expect("EAS2032")

    def get(user):
        return gw.get("/eas", headers=[("X-User", user)]).status

    assert get(f"alice@{REALM}") == 200
    domain.revoke_delegation("gateway2", [CAS2])
    try:
        assert get(f"bob@{REALM}") == get(f"bob.builder@{UPN_SUFFIX}") == 503
        assert times_marked(gw) == 0 and spare.requests == []
    finally:
        domain.allow_delegation("gateway2", [CAS2])


SLOW_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

/* mod_proxy sets a mark, and asks for its time. */
long apr_time_now(void)
{
    long (*real)(void);
    Dl_info caller;

    if (dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "/mod_proxy.so")) {
        usleep(20000);
    }
    *(void **)&real = dlsym(RTLD_NEXT, "apr_time_now");
    return real();
}
"""


@pytest.fixture(scope="module")
def slow_clock(lab_dir):
    made = lab_dir / "libslowclock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", made], input=SLOW_CLOCK,
                   text=True, check=True)
    return made


def test_many_requests_at_once(gateway, members, slow_clock):
    """No request ends because another one has removed a mark, or brought it forward."""
    good, refused = members
    gw = gateway(balancer(refused, good, parameters="retry=0"), processes=1,
                 env={"LD_PRELOAD": " ".join(filter(None, (LIBRARY, str(slow_clock))))})
    gw.expect("EAS2032", "EAS2086")
    with ThreadPoolExecutor(len(USERS)) as pool:
        results = list(pool.map(lambda user: statuses(gw, user, 30), USERS))
    assert results == [[200] * 30] * len(USERS)
    assert refused.requests == []


def test_refused_user_tries_no_other_member(gateway, fake_backends, per_request):
    """A sensitive user would be refused by each.  The members serve others, in turn."""
    members = [fake_backends(per_request, short, proves=False) for short in ("cas1", "cas2")]
    gw = gateway(balancer(*members, parameters=PATIENCE[0]))
    gw.expect("EAS2030")
    for _ in range(3):
        assert gw.get("/eas", "sandra", PASSWORDS["sandra"]).status == 403
    assert gw.error_log.tags().count("EAS2030") == 3 and times_marked(gw) == 0
    assert statuses(gw, "carol", 4) == [200] * 4
    assert [len(member.requests) for member in members] == [2, 2]


@pytest.mark.parametrize("what", ["no balancer", "only member", "others down", "others refused",
                                  "ignores errors", "no attempts", "session", "forward proxy"])
def test_no_next_member(gateway, members, what):
    """The answer is that of a single backend; a mark would not help, or is not wanted."""
    good, refused = members
    more = ""
    good_one, flags = f'BalancerMember "{good.url}" status=+H', ""
    if what in ("no balancer", "only member"):
        good_one = ""
    elif what == "others down":
        good_one = f'BalancerMember "{good.url}" status=+D'
    elif what == "others refused":
        good_one = f'BalancerMember "{refused.url.replace(refused.host, "localhost")}"'
    elif what == "ignores errors":
        flags = "status=+I"
    elif what == "no attempts":
        good_one += "\n    ProxySet maxattempts=0"
    elif what == "session":
        good_one = f'BalancerMember "{good.url}"\n    ProxySet stickysession=SID nofailover=On'
        flags = "route=refused"
    elif what == "forward proxy":
        good_one = f'BalancerMember "{good.url.replace("http:", "https:")}" status=+H'
        more = 'SSLProxyEngine On\nProxyRemote "*" "http://127.0.0.1:9"\n'
    url = refused.url.replace("http:", "https:") if what == "forward proxy" else refused.url
    gw = gateway(more + f"""<Proxy "balancer://cas">
    BalancerMember "{url}" {flags}
    {good_one}
</Proxy>
""" + location(refused.url if what == "no balancer" else "balancer://cas"), processes=1)
    gw.expect("EAS2032", *["EAS2033", "EAS2086"] * (what == "others refused"))
    for _ in range(3):
        assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"],
                                  headers=[("Cookie", "SID=1.refused")]))
    assert gw.logged()["EAS_KCD_ERROR"] in ("EAS2032", "EAS2033")
    assert (times_marked(gw) > 0) is (what == "others refused")
    assert refused.requests == good.requests == []


def test_session_of_a_member_without_tickets(gateway, members):
    """Without nofailover=, it moves to the next member, as after the end of its own."""
    good, refused = members
    gw = gateway(f"""<Proxy "balancer://cas">
    BalancerMember "{refused.url}" route=refused
    BalancerMember "{good.url}"
    ProxySet stickysession=SID
</Proxy>
""" + location("balancer://cas"), processes=1)
    gw.expect("EAS2032", "EAS2086")
    answer = gw.get("/eas", "alice", PASSWORDS["alice"], headers=[("Cookie", "SID=1.refused")])
    assert answer.status == 200 and len(good.requests) == 1
    assert refused.requests == [] and times_marked(gw) == 1


@pytest.mark.smoke
def test_both_members_down(gateway, fake_backends, acceptors):
    members = [fake_backends(script, short, proves=False)
               for script, short in zip(acceptors, ("cas1", "cas2"))]
    gw = gateway(balancer(*members, parameters="retry=0"), processes=1)
    gw.expect("AH00957", "AH00959", "AH01114")
    assert ask(gw, "/eas", "alice").status == 200
    for member in members:
        member.stop()
    for _ in range(3):
        assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 503
    members[1].resume()
    until(lambda: gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200, 10, "a member")
    assert ask(gw, "/eas", "alice").status == 200
