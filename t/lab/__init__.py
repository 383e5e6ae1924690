# SPDX-License-Identifier: Apache-2.0
"""The test lab: a real Active Directory, real acceptors and real clients, all on 127.0.0.1.

    names    host names of the lab that must resolve here
    wait     polling with a deadline, free ports, child processes
    ad       a throw-away Samba domain controller (its KDC), and who lives in it
    sam      the child process that edits the domain's database
    kerberos a Kerberos client: tickets and SPNEGO tokens by python3-gssapi
    relay    a relay in front of the KDC that counts, delays, refuses or swallows messages
    krbmsg   just enough ASN.1 to tell Kerberos messages apart
    tls      a throw-away certification authority
    errorlog what an httpd complained about, by tag
    httpd    an Apache httpd of our own with its own ServerRoot, and its logs
    gateway  the httpd that carries the module under test
    backend  an acceptor that nobody here wrote: httpd with mod_auth_gssapi
    fake_backend  an acceptor that misbehaves as told
    simulated     scripts for it, with real Kerberos behind them
    between       somebody between gateway and backend who ends TLS
    activesync  phones, and an Exchange that speaks their language
    client   a small HTTP client that hides nothing
"""
