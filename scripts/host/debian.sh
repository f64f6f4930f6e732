# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shell library of the scripts that make Debian roots by mmdebstrap.  Sourced after lib.sh.

SUITE=trixie

mirror() {
	# The mirror that the host itself uses serves every suite.
	[ -n "${MIRROR:-}" ] && { echo "$MIRROR"; return; }
	apt-get indextargets --format '$(REPO_URI) $(CREATED_BY)' 'Origin: Debian' 2>/dev/null |
		awk '$2 == "Packages" && $1 !~ /security/ {print $1; exit}'
}

# apt_get COMMAND...: apt-get on the host.  Waits for up to five minutes while another program, such as the one for
# unattended upgrades, holds apt's locks.
apt_get() {
	local end=$((SECONDS + 300)) said
	until said=$(DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" 2>&1); do
		case $said in
		*"Could not get lock"*|*"Unable to acquire"*) [ $SECONDS -lt $end ] ;;
		*) false ;;
		esac || { echo "$said"; return 1; }
		sleep 3
	done
	echo "$said"
}

install_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	command -v apt-get >/dev/null ||
		die "mmdebstrap is not installed and this is not a Debian host: install it"
	step "installing mmdebstrap"
	{ apt_get update && apt_get install -y --no-install-recommends mmdebstrap; } >"$CACHE/apt.log" 2>&1 ||
		die_log "$CACHE/apt.log" "apt-get could not install mmdebstrap: is the network up?"
}

# One line of progress on a terminal, a line every 50 packages in a log.
progress() {
	local count=0 line
	while IFS= read -r line; do
		case $line in
		"Setting up "*|"Get:"*|"I: "*) count=$((count + 1)) ;;
		*) continue ;;
		esac
		if [ -n "$TTY" ]; then
			printf '\r\033[K    %4d  %.70s' "$count" "$line" >&2
		elif [ $((count % 50)) = 0 ]; then
			step "  $count: ${line:0:70}"
		fi
	done
	if [ -n "$TTY" ]; then say; fi
}

# debian_root FOLDER VARIANT PACKAGES OPTION...: Debian with its backports, by mmdebstrap.
debian_root() {
	local dir=$1 variant=$2 packages=$3 url log=$CACHE/mmdebstrap.log keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	shift 3
	url=$(mirror)
	[ -n "$url" ] || die "no Debian mirror in the host's apt sources: set MIRROR=URL"
	[ -e "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
	unshare --mount --propagation private mmdebstrap --variant="$variant" --mode=root --format=directory \
		${packages:+--include="$packages"} \
		--aptopt='APT::Install-Recommends "false"' \
		"$@" \
		--skip=cleanup/apt/lists \
		"$SUITE" "$dir" \
		"deb [signed-by=$keyring] $url $SUITE main" \
		"deb [signed-by=$keyring] $url $SUITE-backports main" 2>&1 | tee "$log" | progress ||
		die_log "$log" "mmdebstrap could not make a Debian root: network or disk?"
}
