# What adg does on a host, as POSIX shell. It is sent to "sh -s -- ROOT VERB ...": nothing of it is put together from
# outside, and what comes from outside are arguments. Programs run with the lock held and without its descriptor; what
# they print goes to a file, so that a lost connection does not disturb them.
set -u
umask 022
trap '' HUP PIPE

fail() {
	code=$1
	shift
	printf '%s\n' "$*" >&2
	exit "$code"
}

# locked waits for the one who changes this host now, and refuses if the note is another one than the caller has read.
locked() {
	mkdir -p "$state" "$root/releases" || fail 70 "cannot write below $root"
	exec 9>"$state/lock"
	flock -w 30 9 || fail 75 "another operation is still running on this host"
	[ "$(cat "$state/note" 2>/dev/null)" = "$1" ] || fail 76 "the note has changed"
}

note() {
	printf %s "$1" >"$state/note.new" && sync "$state/note.new" && mv -f "$state/note.new" "$state/note" ||
		fail 70 "cannot write below $root"
}

# program runs the rest of its arguments for at most so many seconds.
program() {
	limit=$1
	shift
	timeout -k 5 "$limit" "$@" </dev/null >"$state/log" 2>&1 9>&-
	code=$?
	tail -c 4096 "$state/log"
	[ $code -eq 0 ] || fail 80 "$code"
}

look() {
	printf 'note %s\n' "$(cat "$state/note" 2>/dev/null)"
	printf 'link %s\n' "$(readlink "$root/current" 2>/dev/null)"
	printf 'linked %s\n' "$(stat -c %.6Y "$root/current" 2>/dev/null)"
	printf 'now %s\n' "$(date +%s.%N)"
	printf 'uptime %s\n' "$(cut -d ' ' -f 1 /proc/uptime 2>/dev/null)"
	for tool in flock timeout mv ln sync tail; do
		command -v "$tool" >/dev/null || printf 'missing %s\n' "$tool"
	done
	[ -w "$root" ] || printf 'readonly %s\n' "$root"
	if [ -d "$root/releases" ]; then
		for folder in "$@"; do
			[ "$folder" != -- ] || break
			[ ! -d "$root/releases/$folder" ] || printf 'release %s\n' "$folder"
		done
	fi
	while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
	[ $# -eq 0 ] || shift
	if [ $# -gt 0 ]; then
		timeout 10 "$@" </dev/null 2>/dev/null | sed 's/^/unit /'
	fi
	printf 'log\n'
	tail -c 4096 "$state/log" 2>/dev/null
	return 0
}

# stage has a program fill a new folder, which is the release only when it is complete.
stage() {
	version=$1 limit=$2
	shift 2
	[ ! -d "$root/releases/$version" ] || return 0
	rm -rf "$root/releases/.$version.new"
	mkdir "$root/releases/.$version.new" || fail 70 "cannot write below $root"
	program "$limit" "$@"
	sync
	mv -T "$root/releases/.$version.new" "$root/releases/$version" || fail 70 "cannot write below $root"
}

# link makes current point to a release, at once, if it still points where the caller has seen it.
link() {
	before=$1 version=$2
	[ "$(readlink "$root/current" 2>/dev/null)" = "$before" ] || fail 77 "current has changed"
	[ -d "$root/releases/$version" ] || fail 78 "no folder"
	ln -sfn "releases/$version" "$state/current.new" && mv -fT "$state/current.new" "$root/current" ||
		fail 70 "cannot write below $root"
}

main() {
	root=$1 state=$1/.adg verb=$2
	shift 2
	case $verb in
	look) look "$@" ;;
	stage)
		locked "$1"
		shift
		stage "$@"
		;;
	run)
		locked "$1"
		next=$2
		shift 2
		[ $# -lt 2 ] || program "$@"
		note "$next"
		;;
	link)
		locked "$1"
		next=$2
		shift 2
		link "$@"
		note "$next"
		;;
	esac
}

main "$@"
