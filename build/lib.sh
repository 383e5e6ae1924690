# Shared by the scripts in build/: sourced by bash, with set -euo pipefail.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die()
{
    echo "${0##*/}: $*" >&2
    exit 1
}

# as_root COMMAND ...
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: run it as root, or install sudo"
    fi
}

# packages_for PURPOSE ...: the packages that build/packages lists for them
packages_for()
{
    local purpose

    for purpose in "$@"; do
        sed -n "s/#.*//; s/^$purpose://p" "$top/build/packages"
    done | xargs -n 1
}

# missing_packages PURPOSE ...: those of them that are not installed
missing_packages()
{
    # dpkg-query fails when it has never heard of one: then that one is missing.
    # shellcheck disable=SC2016 # the ${} are dpkg-query's
    comm -23 <(packages_for "$@" | sort -u) \
        <(packages_for "$@" \
            | xargs dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null \
            | sed -n 's/^installed //p' | sort -u)
}

# install_packages PACKAGE ...: runs as root in a shell of its own, and so uses
# nothing else of this file. A server that Debian starts at once would take the
# ports the tests want, and serve the world from a developer's machine: while
# packages are being installed, a policy-rc.d forbids it.
install_packages()
{
    set -eu
    # Not local: the trap runs when this function is gone.
    policy=/usr/sbin/policy-rc.d
    saved=$policy.before-mod_eas_kcd
    export DEBIAN_FRONTEND=noninteractive

    exec 9>/run/mod_eas_kcd-packages.lock
    flock 9                     # two at a time would save each other's policy
    restore_policy()
    {
        rm -f "$policy"
        [ ! -e "$saved" ] || mv "$saved" "$policy"
    }
    # A run that was killed has left its own policy, and perhaps the saved one.
    if [ -e "$saved" ] || grep -qs 'by mod_eas_kcd' "$policy"; then
        restore_policy
    fi
    trap restore_policy EXIT
    [ ! -e "$policy" ] || mv "$policy" "$saved"
    printf '%s\n' '#!/bin/sh' '# for a moment, by mod_eas_kcd' 'exit 101' >"$policy"
    chmod 755 "$policy"

    # What we hold open is no business of the packages' scripts: 9>&-
    apt-get -q -o DPkg::Lock::Timeout=300 update 9>&-
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends "$@" 9>&-
}

# need_packages PURPOSE ...: installs what is missing
need_packages()
{
    local missing

    command -v apt-get >/dev/null \
        || die "no apt-get here: this command is for Debian. Elsewhere, install what" \
               "build/packages lists, then ./configure && make && make check"
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "Installing: ${missing[*]}"
    as_root bash -c "$(declare -f install_packages); install_packages \"\$@\"" \
        install_packages "${missing[@]}" \
        || die "could not install ${missing[*]}"
}

# configure_tree: in the source tree; make itself sees to later changes of configure.ac and Makefile.am
configure_tree()
{
    cd "$top"
    if [ ! -x configure ] || [ ! -f Makefile.in ]; then
        autoreconf -fi
    fi
    if [ ! -f Makefile ]; then
        ./configure --enable-werror
    fi
}

# build_tree: the module, in the source tree
build_tree()
{
    configure_tree
    make -j "$(nproc)"
}
