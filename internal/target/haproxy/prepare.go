package haproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// preparation is what the prepare program gets on its standard input.
type preparation struct {
	OpID       string      `json:"op_id"`
	Fence      int64       `json:"fence"`
	Deployment string      `json:"deployment"`
	Backend    string      `json:"backend"`
	Slot       string      `json:"slot"`
	Servers    []string    `json:"servers"`
	Release    adg.Release `json:"release"`
}

// prepare has the user's program bring a release into a slot. The program inherits the lock, so that whoever takes
// over waits for it.
func (c *change) prepare(ctx context.Context, p place) error {
	o, release := c.target.o.Prepare, p.wanted.Release
	servers := c.target.o.Slots[p.slot]
	input, err := json.Marshal(preparation{
		OpID: c.want.OpID, Fence: c.want.Fence, Deployment: c.want.Deployment,
		Backend: c.target.o.Backend, Slot: p.slot, Servers: servers, Release: release,
	})
	if err != nil {
		return adg.Errorf(adg.Internal, "prepare slot %s: %w", p.slot, err)
	}
	var env []string
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, found := os.LookupEnv(name); found {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range o.Env {
		env = append(env, name+"="+value)
	}
	env = append(env,
		"ADG_OP_ID="+c.want.OpID, "ADG_FENCE="+strconv.FormatInt(c.want.Fence, 10), "ADG_DEPLOYMENT="+c.want.Deployment,
		"ADG_BACKEND="+c.target.o.Backend, "ADG_SLOT="+p.slot, "ADG_SERVERS="+strings.Join(servers, " "),
		"ADG_SERVICE="+release.Service, "ADG_VERSION="+release.Version, "ADG_ARTIFACT="+release.Artifact,
		"ADG_CONFIG="+release.Config, "ADG_COMMIT="+release.Commit)
	result, err := process.Run(ctx, process.Spec{
		Path: o.Path, Args: o.Args, Dir: o.Dir, Env: env, Stdin: input, Timeout: o.Timeout, Files: []*os.File{c.operation.Lock()},
	})
	if err != nil {
		c.stillRuns = true
		return fmt.Errorf("prepare slot %s for %s: %w", p.slot, release.Version, err)
	}
	if result.Exit != 0 {
		return adg.Errorf(adg.Unavailable, "prepare slot %s for %s: %s ended with status %d: %s",
			p.slot, release.Version, o.Path, result.Exit, result.Complaint())
	}
	return nil
}
