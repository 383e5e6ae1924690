# SPDX-License-Identifier: Apache-2.0
"""The benchmark behind t/bench, on the lab's servers.

    main      the command line
    rig       the servers, and which cores they have
    conf      the configurations that are compared
    load      wrk, h2load, and a client whose requests all come at once
    cost      CPU and memory of processes
    pairs     A B A B ..., and medians of ratios
    warm      cases with warm users
    cold      cases with first requests, and with many users
    outage    the case of a KDC that says nothing
    phones    phones that come back at once
    pings     phones with a Ping each, and a backend that has them wait
    token     what a token costs by itself
    results   tables, and figures for the promises
    promises  what must be reached
    page      README.md's tables with the figures of a run
    plot      an SVG
"""
