# SPDX-License-Identifier: Apache-2.0
"""The test lab: a real Active Directory, real acceptors and real clients, all on 127.0.0.1.

Servers
    names    host names of the lab that must resolve here
    wait     polling with a deadline, free ports, child processes
    ad       a throw-away Samba domain controller (its KDC), and its accounts
    debian   a Debian of another release, or without our packages
    sam      the child process that edits the domain's database
    relay    a relay in front of the KDC that counts, delays, refuses or swallows messages
    httpd    an Apache httpd of our own with its own ServerRoot, and its logs
    gateway  the httpd that carries the module under test
    backend  an acceptor from a Debian package: httpd with mod_auth_gssapi
    fake_backend  an acceptor that misbehaves by a script
    simulated     scripts for it, with real Kerberos behind them
    between       a TLS proxy between gateway and backend
    redis    a redis server
    programs programs in C, compiled when they are wanted
    clock    one moved clock for a KDC, a backend and gateways
    tls      a throw-away certification authority

Clients
    client   a small HTTP client that hides nothing
    kerberos a Kerberos client: tickets and SPNEGO tokens by python3-gssapi
    frontdoor     a browser's cookies and forms, without a browser
    browser  Chromium
    activesync    phones, and an Exchange that speaks their language
    raw_form      a posted login form as bytes on a socket

Configurations, and checks that several files share
    exchange, two_hosts     configurations
    challenge, login_form, sessions, owners     checks
    errorlog, krbmsg        httpd's log by tag, Kerberos messages by kind
    unique   numbers and paths that occur once
"""
