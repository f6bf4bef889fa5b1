#!/bin/sh
# Installs what `make test` needs and cannot build: etcd, Redis and PostgreSQL, from Debian or Ubuntu packages.
# The tests start private instances of them; no system service is started here, and none is ever used.
set -eu

have_postgres() {
    for dir in $(printf '%s' "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin; do
        if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && [ -x "$dir/psql" ]; then return 0; fi
    done
    return 1
}

missing() {
    command -v etcd >/dev/null 2>&1 || echo etcd-server
    command -v redis-server >/dev/null 2>&1 || echo redis-server
    have_postgres || echo postgresql
}

packages=$(missing | tr '\n' ' ')
packages=${packages% }
if [ -z "$packages" ]; then
    echo "servers: etcd, redis-server and postgres are installed"
    exit 0
fi

explain() {
    echo "servers: missing: $packages" >&2
    echo "servers: $1; install them by hand, for example: apt-get install --no-install-recommends $packages" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || explain "there is no apt-get here"
if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    explain "installing needs root or sudo without a password"
fi

# Packages ask policy-rc.d whether they may start their service: 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    $as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
fi

# Read by postgresql-common when a server package is installed: no system cluster is made.
case " $packages " in *" postgresql "*)
    conf=/etc/postgresql-common/createcluster.conf
    $as_root sh -c "mkdir -p /etc/postgresql-common && { grep -q '^create_main_cluster' $conf 2>/dev/null ||
        echo 'create_main_cluster = false' >> $conf; }" ;;
esac

install_packages() {
    # shellcheck disable=SC2086  # word splitting is wanted: a list of packages
    $as_root DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold $packages
}

echo "servers: installing $packages"
install_packages || { $as_root apt-get update && install_packages; } || explain "apt-get failed"

packages=$(missing | tr '\n' ' ')
packages=${packages% }
[ -z "$packages" ] || explain "the packages were installed, but their programs are not in PATH"
echo "servers: etcd, redis-server and postgres are installed"
