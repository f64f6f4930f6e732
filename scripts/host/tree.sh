# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shell library of the scripts that build against a kernel tree, $KDIR: what it was built by, what is
# missing on this machine.  Sourced after lib.sh.

# refuse REASON: what is wrong with KDIR, and what to do.
refuse() { die "KDIR=$KDIR cannot serve: $*"; }

# architecture: as make calls the tree's, of which x86-64 has two names.
architecture() {
	local name
	name=$(sed -n '1,5s|^# Linux/\([^ ]*\) .* Kernel Configuration$|\1|p' "$KDIR/.config")
	case $name in
	x86 | x86_64 | arm64) echo "$name" ;;
	*) refuse "rust-vfio was tried on x86-64 and arm64 alone" ;;
	esac
}

# What is missing on this machine, as packages, and what is another than it must be.
MISSING=() WRONG=() MAKE_VARIABLES=()

# llvm_tool NAME LLVM: what the kernel's makefile calls a tool of LLVM, if it is told LLVM=.
llvm_tool() {
	case $2 in
	*/) echo "$2$1" ;;
	-*) echo "$1$2" ;;
	*) echo "$1" ;;
	esac
}

# clang_compiler: c_compiler of a tree that clang built.  If nobody says LLVM=, the machine's clang or the
# one that has the version in its name.
clang_compiler() {
	local text major llvm found other='' suffix=''
	text=$(setting CONFIG_CC_VERSION_TEXT)
	major=$(setting CONFIG_CLANG_VERSION)
	major=$((major / 10000))
	for llvm in "${LLVM:-1}" "${LLVM:--$major}"; do
		CC_NAME=$(llvm_tool clang "$llvm")
		found=$("$CC_NAME" --version 2>/dev/null | sed -n 1p) || continue
		[ "$found" != "$text" ] || break
		other=$found
	done
	MAKE_VARIABLES=(LLVM="$llvm")
	if [ "$found" = "$text" ]; then
		[ "$llvm" = 1 ] || suffix=-$major
		want "$(llvm_tool ld.lld "$llvm")" "lld$suffix"
		want "$(llvm_tool llvm-objcopy "$llvm")" "llvm$suffix"
		return
	fi
	# One that was chosen, or that has another version of the right number, was meant.
	case ${LLVM:+chosen}:$other in
	chosen:?* | *" version $major."*) same_version clang "$text" "$other" "LLVM= picks" ;;
	*) MISSING+=("clang-$major" "lld-$major" "llvm-$major") ;;
	esac
}

# c_compiler: sets CC_NAME, the compiler that built the tree, and MAKE_VARIABLES, what make is told of it.
c_compiler() {
	local text major name machine
	if [ "$(setting CONFIG_CC_IS_CLANG)" = y ]; then
		clang_compiler
		return
	fi
	text=$(setting CONFIG_CC_VERSION_TEXT)
	CC_NAME=
	# Its name, as the tree was configured; the same without the triplet; and the machine's gcc.
	major=$(setting CONFIG_GCC_VERSION)
	major=$((major / 10000))
	for name in "${text%% *}" "gcc-$major" gcc; do
		case $("$name" -dumpversion 2>/dev/null) in
		"$major" | "$major".*)
			CC_NAME=$name
			break ;;
		esac
	done
	if [ -z "$CC_NAME" ]; then
		MISSING+=("gcc-$major")
		return
	fi
	MAKE_VARIABLES=(CC="$CC_NAME")
	# The machine may have no other, but programs of another architecture are of no use in a build.
	machine=$("$CC_NAME" -dumpmachine)
	[ "${machine%%-*}" != "$(uname -m)" ] || MAKE_VARIABLES+=(HOSTCC="$CC_NAME")
	case $CC_NAME in *-linux-*-gcc*) MAKE_VARIABLES+=(CROSS_COMPILE="${CC_NAME%gcc*}") ;; esac
}

# same_version NAME THEIRS OURS HINT: notes that a compiler is another than the tree's.
same_version() {
	[ "$2" = "$3" ] || WRONG+=("it was built with another $1
       its:       $2
       this one:  $3 ($4 another)")
}

# want COMMAND PACKAGE: notes the package if there is no such command.
want() { command -v "$1" >/dev/null || MISSING+=("$2"); }

# rust_compiler: rustc must be the one that made the metadata, for no other can read them.
rust_compiler() {
	local rustc=${RUSTC:-rustc}
	want "$rustc" rustc
	want "${BINDGEN:-bindgen}" bindgen
	! command -v "$rustc" >/dev/null ||
		same_version rustc "$(setting CONFIG_RUSTC_VERSION_TEXT)" "$("$rustc" --version)" "RUSTC= or PATH picks"
	MAKE_VARIABLES+=(${RUSTC:+RUSTC="$RUSTC"} ${BINDGEN:+BINDGEN="$BINDGEN"})
}

# has_metadata: whether the tree has the metadata of the kernel's crates.
has_metadata() { [ -s "$KDIR/rust/libcore.rmeta" ] && [ -s "$KDIR/rust/libkernel.rmeta" ]; }

# metadata_compiler FOLDER: what the configuration says of rustc may be untrue of the metadata in FOLDER/rust, in
# the first bytes of which the compiler that made them writes its version.
metadata_compiler() {
	local file made this
	this=$("${RUSTC:-rustc}" --version)
	for file in "$1"/rust/*.rmeta; do
		made=$(head -c 256 "$file" | LC_ALL=C grep -aoE 'rustc [ -~]+' || true)
		if [ "$made" != "$this" ]; then
			same_version "rustc (${file##*/})" "${made:-does not say}" "$this" "RUSTC= or PATH picks"
			return
		fi
	done
}

# metadata_tools: what making them wants besides.
metadata_tools() {
	local tool sysroot
	for tool in make:make flex:flex bison:bison bc:bc perl:perl python3:python3 xz:xz-utils; do
		want "${tool%:*}" "${tool#*:}"
	done
	[ "$(setting CONFIG_DEBUG_INFO_BTF)" != y ] || want pahole pahole
	[ -e /usr/include/libelf.h ] || MISSING+=(libelf-dev)
	[ -e /usr/include/openssl/ssl.h ] || MISSING+=(libssl-dev)
	# Where Debian's would be, if there is none
	sysroot=$("${RUSTC:-rustc}" --print sysroot 2>/dev/null) || sysroot=/usr
	[ -n "${RUST_LIB_SRC:-}" ] || [ -e "$sysroot/lib/rustlib/src/rust/library/core/src/lib.rs" ] ||
		MISSING+=(rust-src)
}

# complain: ends the script if something is missing or wrong, and names all of it, once.
complain() {
	local text
	[ ${#MISSING[@]} = 0 ] || mapfile -t MISSING < <(printf '%s\n' "${MISSING[@]}" | awk '!named[$0]++')
	for text in ${WRONG[@]+"${WRONG[@]}"}; do
		say "error: KDIR=$KDIR cannot serve: $text"
	done
	[ ${#MISSING[@]} = 0 ] || say "error: not installed, and needed for this kernel: ${MISSING[*]}
       on Debian: apt-get install ${MISSING[*]}"
	[ $((${#MISSING[@]} + ${#WRONG[@]})) = 0 ] || exit 1
}
