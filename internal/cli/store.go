package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
)

// CopyOptions are the arguments of adg store copy. One of To, ToFile and ToConfig says where to.
type CopyOptions struct {
	From     string // the data directory
	To       string // a DSN without a password
	ToFile   string // a file with a DSN
	ToConfig string // a server's configuration
	Progress func(table string, done, all int64)
}

// StoredRows is how many rows of a table were copied and counted.
type StoredRows struct {
	Table string
	Rows  int64
}

// BackedUp is what stands in a backup.
type BackedUp struct {
	Bytes       int64
	Deployments int64
	LastAudit   adg.AuditEntry // zero: nothing is on record
}

// StoreCalls are what the verbs of a store do.
type StoreCalls struct {
	StoreCopy   func(context.Context, CopyOptions) ([]StoredRows, error)
	StoreBackup func(ctx context.Context, dir, file string) (BackedUp, error)
}

// Private

func storeCommand(t Terminal, calls StoreCalls) *cobra.Command {
	cmd := &cobra.Command{
		Use: "store", Short: "Back up what was stored, or move it to another database", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(storeCopy(t, calls), storeBackup(calls))
	return cmd
}

func storeCopy(t Terminal, calls StoreCalls) *cobra.Command {
	var o CopyOptions
	cmd := &cobra.Command{
		Use: "copy --from DIR --to URL", Short: "Move everything from a data directory to an empty PostgreSQL database", Args: cobra.NoArgs,
		Long: `Move everything from a data directory to an empty PostgreSQL database: deployments with all that was decided, measured and
done, what is still to be told, holds, stops, documents, and the audit log with its digests. Cursors of events and
fences stay as they are; leases stay behind.

The directory must not be in use, and stays as it is. The copy is one transaction: if it is interrupted, nothing was copied. In
the end every table is counted and the audit log verified where it is now.

A password is never given on the command line, where everybody on the machine sees it: it is read from PGPASSWORD or ~/.pgpass,
or stands in the file of --to-file, or in what store.postgres.dsn of a server's configuration names.`,
		Example: `  PGPASSFILE=/etc/adg/pgpass adg store copy --from /var/lib/adg --to 'postgres://adg@db:5432/adg?sslmode=verify-full'
  adg store copy --from /var/lib/adg --to-config /etc/adg/adg.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := newMeter(t)
			o.Progress = func(table string, done, all int64) { m.say(fmt.Sprintf("%s: %d of %d", table, done, all)) }
			copied, err := calls.StoreCopy(cmd.Context(), o)
			m.clear()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
			for _, c := range copied {
				_, _ = fmt.Fprintf(w, "%d\t %s\n", c.Rows, c.Table)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			cmd.Println("All of it is there, and the audit log is whole. Start servers with the database now, and none with " + o.From + " any more:\nwhat it goes on to do would not be in the database.")
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.From, "from", "", "data directory")
	flags.StringVar(&o.To, "to", "", "database, as a URL without a password")
	flags.StringVar(&o.ToFile, "to-file", "", "file with the URL of the database, which may have a password in it")
	flags.StringVar(&o.ToConfig, "to-config", "", "configuration of a server: its store.postgres is the database")
	_ = cmd.MarkFlagRequired("from") // it exists
	cmd.MarkFlagsMutuallyExclusive("to", "to-file", "to-config")
	cmd.MarkFlagsOneRequired("to", "to-file", "to-config")
	return cmd
}

func storeBackup(calls StoreCalls) *cobra.Command {
	return &cobra.Command{
		Use: "backup DIR FILE", Short: "Write the database of a data directory into a new file, also while a server works with it", Args: cobra.ExactArgs(2),
		Long: `Write the database of a data directory into a new file, as it is at one moment, also while a server works with it. The file appears
when the copy is whole: SQLite has found it sound, and its audit log is as it was written.

To restore, put the file into an empty directory under the name adg.db. Everything is stopped in it: much may have happened
since the backup, so compare what is live with what is on record, then resume with adg resume --all.

Keys that seal secrets are not in it and have to be kept apart from it: see docs/operating.md.`,
		Example: "  adg store backup /var/lib/adg /backup/adg-$(date +%F).db",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := calls.StoreBackup(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			cmd.Printf("%s: %d bytes, %d deployments\n", args[1], b.Bytes, b.Deployments)
			if last := b.LastAudit; last.Seq > 0 {
				cmd.Printf("the audit log is whole up to entry %d, %s\n", last.Seq, last.Digest)
			}
			return nil
		},
	}
}
