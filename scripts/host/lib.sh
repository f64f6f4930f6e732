# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shell library of the scripts that run on the host: where things are cached, how a
# step is announced, how an expensive artefact is made once and only once.
# Sourced, never run.  Needs bash, coreutils, util-linux.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# Who has no HOME, as services have not, may be in the table of users.
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6 || true)}
CACHE=${RUST_VFIO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/rust-vfio}
JOBS=${JOBS:-$(nproc)}
export HOME TOP CACHE JOBS
if [ -n "${KERNEL_SOURCE:-}" ] && [ -e "$KERNEL_SOURCE" ]; then
	KERNEL_SOURCE=$(realpath -- "$KERNEL_SOURCE")
	export KERNEL_SOURCE
fi

# shellcheck disable=SC2034 # for the scripts that show progress
if [ -t 2 ] && [ -z "${CI:-}" ]; then TTY=1; else TTY=; fi

say()  { printf '%s\n' "$*" >&2; }
step() { printf '[%s] %s\n' "$(elapsed)" "$*" >&2; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }
# die_log LOG MESSAGE: ... after the end of what a command had to say.
die_log() { tail -n 15 "$1" >&2; die "$2 (log: $1)"; }

# Time since the command that the user typed began, as m:ss.
RUST_VFIO_T0=${RUST_VFIO_T0:-$(date +%s)}
export RUST_VFIO_T0
elapsed() { local s=$(( $(date +%s) - RUST_VFIO_T0 )); printf '%d:%02d' $((s / 60)) $((s % 60)); }

# hash_of TEXT...: the key of an artefact, from all that it depends on.
hash_of() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }
hash_files() { cat -- "$@" | sha256sum | cut -c1-16; }

# setting NAME: of the configuration of the kernel KDIR.
setting() { sed -n "s/^$1=//p" "$KDIR/.config" | tr -d '"'; }

# existing_files FOLDER... -- EXPRESSION: what find(1) finds in those of the folders that are there,
# less what cargo built.
existing_files() {
	local folders=()
	while [ "$1" != -- ]; do
		[ ! -d "$1" ] || folders+=("$1")
		shift
	done
	shift
	find "${folders[@]}" -not -path '*/target/*' "$@" | sort
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root (it mounts and enters the toolchain root): run it under sudo"
}

# need_space GIB: refuse before anything is begun, not in the middle of it.
need_space() {
	mkdir -p "$CACHE" || die "cannot create the cache folder $CACHE: set XDG_CACHE_HOME"
	local free
	free=$(df -Pk "$CACHE" | awk 'NR == 2 {print int($4 / 1048576)}')
	[ "$free" -ge "$1" ] ||
		die "$CACHE has $free GiB free, $1 GiB are needed: free some, or point XDG_CACHE_HOME elsewhere"
}

# make_once DIR FUNCTION: runs FUNCTION with the name of a scratch folder and renames that
# to DIR when it succeeds.  A lock makes a second run wait for the first; what an interrupted
# run left is removed by the next.
make_once() {
	local dir=$1 fn=$2
	[ -e "$dir" ] && return 0
	mkdir -p "$CACHE"
	(
		exec 9>"$dir.lock"
		if ! flock -n 9; then
			step "another run is making ${dir##*/}: waiting for it"
			flock 9
		fi
		[ -e "$dir" ] && exit 0
		if [ -e "$dir.partial" ]; then
			step "removing what an interrupted run left of ${dir##*/}"
			rm -rf --one-file-system "$dir.partial"
		fi
		mkdir -p "$dir.partial"
		# The scratch folder is gone again however the attempt fails.  Its name as it is now: what fails may
		# be a function with a variable of that name.
		# shellcheck disable=SC2064
		trap "rm -rf --one-file-system '$dir.partial'" EXIT
		trap 'exit 130' INT TERM HUP
		"$fn" "$dir.partial"
		sync -f "$dir.partial"
		mv -T "$dir.partial" "$dir"
		trap - EXIT
	)
}
