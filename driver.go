package adg

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
)

// Driver describes a kind of source, target or notifier: its name in policy files, one line of help, and its
// options, a struct with `yaml` and `doc` tags whose values are the defaults.
type Driver struct {
	Type    string
	Summary string
	Options any // a struct, not a pointer
}

// Host is what the process offers to the drivers that it opens.
type Host struct {
	Name     string // of this source, target or notifier in the policy
	Dir      string // a directory of this instance's own, by its whole path: programs run elsewhere; created on first use by the driver
	Log      *slog.Logger
	Commands bool // whether drivers may start processes here
	// Programs are the only ones that they may start, each by its whole path; none: any, where Commands is true.
	Programs []string
	// Folders are those, by their whole paths, in which they may write files that their options name, beside Dir; on a
	// machine that is Own all are.
	Folders []string
	// Target opens another target that is registered for the same deployments; nil: there are none.
	Target func(ctx context.Context, name string) (Target, error)
}

// MayStart refuses a program that may not be started here.
func (h Host) MayStart(program string) error {
	switch {
	case !h.Commands:
		return Permanent(Errorf(Unauthorized, "programs may not be started here: an administrator has to allow them (commands.allow in the server's configuration), or run the deployment with adg run"))
	case len(h.Programs) > 0 && !slices.Contains(h.Programs, program):
		return Permanent(Errorf(Unauthorized, "%s is none of the programs that may be started here (commands.allow in the server's configuration)", program))
	}
	return nil
}

// Own tells whether the machine is that of whoever wrote the options, as with adg run: nothing of it is kept from him. Of a
// server it is not: whoever registers something there is no user of the machine by that.
func (h Host) Own() bool { return h.Commands && len(h.Programs) == 0 }

// MayWrite refuses a file, by its whole path, that may not be written here.
func (h Host) MayWrite(file string) error {
	inside := func(folder string) bool {
		below, err := filepath.Rel(folder, file)
		return err == nil && filepath.IsLocal(below)
	}
	if h.Own() || slices.ContainsFunc(h.Folders, inside) {
		return nil
	}
	return Permanent(Errorf(Unauthorized, "%s is in no folder that may be written in here: an administrator has to allow it (files.allow in the server's configuration)", file))
}

// SourceDriver opens sources of one type.
type SourceDriver struct {
	Driver
	Open func(ctx context.Context, options any, host Host) (Source, error)
}

// TargetDriver opens targets of one type.
type TargetDriver struct {
	Driver
	// Parts are the names of the other targets that it opens by Host.Target, as its options say; nil: none. One that has
	// parts is open for each service and environment.
	Parts func(options any) []string
	Open  func(ctx context.Context, options any, host Host) (Target, error)
}

// NotifierDriver opens notifiers of one type.
type NotifierDriver struct {
	Driver
	Open func(ctx context.Context, options any, host Host) (Notifier, error)
}

// NewSourceDriver describes a source whose options are an O. Open gets a copy of defaults with the policy's values
// laid over it, secrets resolved; it reports every problem of the options at once, and reaches for nothing that is
// not local: an unreachable server is an error of the first Query.
func NewSourceDriver[O any](kind, summary string, defaults O, open func(context.Context, O, Host) (Source, error)) SourceDriver {
	return SourceDriver{
		Driver: Driver{Type: kind, Summary: summary, Options: defaults},
		Open: func(ctx context.Context, options any, host Host) (Source, error) {
			o, err := optionsOf[O](kind, options)
			if err != nil {
				return nil, err
			}
			return open(ctx, o, host)
		},
	}
}

// NewTargetDriver describes a target whose options are an O, as NewSourceDriver does for sources.
func NewTargetDriver[O any](kind, summary string, defaults O, open func(context.Context, O, Host) (Target, error)) TargetDriver {
	return TargetDriver{
		Driver: Driver{Type: kind, Summary: summary, Options: defaults},
		Open: func(ctx context.Context, options any, host Host) (Target, error) {
			o, err := optionsOf[O](kind, options)
			if err != nil {
				return nil, err
			}
			return open(ctx, o, host)
		},
	}
}

// NewNotifierDriver describes a notifier whose options are an O, as NewSourceDriver does for sources.
func NewNotifierDriver[O any](kind, summary string, defaults O, open func(context.Context, O, Host) (Notifier, error)) NotifierDriver {
	return NotifierDriver{
		Driver: Driver{Type: kind, Summary: summary, Options: defaults},
		Open: func(ctx context.Context, options any, host Host) (Notifier, error) {
			o, err := optionsOf[O](kind, options)
			if err != nil {
				return nil, err
			}
			return open(ctx, o, host)
		},
	}
}

// Private

func optionsOf[O any](kind string, options any) (O, error) {
	o, ok := options.(O)
	if !ok {
		return o, Errorf(Internal, "driver %s was opened with options of type %T", kind, options)
	}
	return o, nil
}
