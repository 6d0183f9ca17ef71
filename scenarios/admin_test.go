package scenarios

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/deployguardian/adg/internal/identity/firstadmin"
)

var whereItIs = regexp.MustCompile(`export ADG_SERVER=(\S+)`)

// admin waits until the server that writes to a file has said how to begin, makes the first admin, ann, and leaves the
// context of her own token for what follows: admin out.txt.
func admin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: admin FILE")
	}
	var said []byte
	for began := time.Now(); !firstadmin.Token.Match(said); said, _ = os.ReadFile(ts.MkAbs(args[0])) {
		if time.Since(began) > time.Minute {
			ts.Fatalf("the server did not say how to begin: %s", said)
		}
		time.Sleep(20 * time.Millisecond)
	}
	server := string(whereItIs.FindSubmatch(said)[1])
	token, err := firstadmin.Make(context.Background(), server, string(firstadmin.Token.Find(said)))
	ts.Check(err)
	ts.Setenv("ADG_CONTEXTS", ts.MkAbs("contexts.yaml"))
	login := exec.Command(adg, "login", server, "--token-stdin")
	login.Env = append(os.Environ(), "ADG_CONTEXTS="+ts.MkAbs("contexts.yaml"))
	login.Stdin = strings.NewReader(token)
	if out, err := login.CombinedOutput(); err != nil {
		ts.Fatalf("logging in: %v\n%s", err, out)
	}
}
