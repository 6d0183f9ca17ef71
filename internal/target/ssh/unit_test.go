package ssh

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// install gives a machine its service, with v1 running, and a systemctl on its path that keeps one process, as the real
// one does for a service of Type=exec, and writes down each restart that an operation asked for. No test starts a systemd:
// one that finds itself the first process of a machine also cleans it.
func (m *machine) install(t *testing.T) {
	t.Helper()
	program(t, filepath.Join(m.dir, "start"), `exec "$(readlink -f "`+m.dir+`/srv/current")/run" `+m.dir)
	path := filepath.Join(m.dir, "bin/systemctl")
	host := filepath.Base(m.dir)
	program(t, path, `
cd "`+m.dir+`" || exit 1
log() { [ -z "$ADG_OP_ID" ] || echo "$1 `+host+` $ADG_OP_ID $ADG_FENCE" >>"`+m.w.dir+`/log"; }
pid=$(cat pid 2>/dev/null)
case $1 in
show)
	state=failed since=0
	if [ -n "$pid" ] && stat=$(cat "/proc/$pid/stat" 2>/dev/null); then
		set -- $stat
		[ "$3" = Z ] || { state=active; since=${22}0000; }
	fi
	printf '%s\n' LoadState=loaded ActiveState=$state SubState=$state Result=exit-code MainPID=$pid ExecMainStartTimestampMonotonic=$since
	;;
restart)
	log begin
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	rm -f running
	./start >/dev/null 2>&1 &
	echo $! >pid
	until [ -s running ]; do kill -0 $! 2>/dev/null || break; done # it says what it is as the first thing
	log end
	;;
stop) [ -z "$pid" ] || kill "$pid" 2>/dev/null ;;
esac
exit 0`)
	t.Cleanup(func() { _ = exec.Command(path, "stop").Run() })
	if out, err := exec.Command(path, "restart", "--", "shop.service").CombinedOutput(); err != nil {
		t.Fatalf("start the service: %v %s", err, out)
	}
}
