package adg

import (
	"context"
	"time"
)

// Store remembers deployments and everything that was decided, done and told. Every implementation passes
// internal/store/storetest. All methods are safe for concurrent use; a cancelled context changes nothing. What does
// not exist is NotFound.
//
//nolint:interfacebloat // it is fourteen small interfaces, each of which is enough for whoever uses it
type Store interface {
	Clock
	Deployments
	Leases
	Journal
	History
	Releases
	Commands
	Outbox
	Line
	EventLog
	Documents
	AuditLog
	Upkeep
	Close() error
}

// Clock is the store's: one for all replicas. It never jumps back while the store is open.
type Clock interface {
	Now(ctx context.Context) (time.Time, error)
}

// DeploymentFilter selects deployments; zero fields select all, and several values of one field any of them. The newest
// come first.
type DeploymentFilter struct {
	IDs          []string
	Service      string
	Environment  string
	Services     []string
	Environments []string
	States       []State
	Actors       []string
	Version      string    // of the release
	Key          string    // the one deployment that was started with it (Spec.Key)
	From         time.Time // only those with a Spec.Created at or after this time
	To           time.Time // only those with one before this time
	Live         bool      // not ended
	Oldest       bool      // the oldest come first
	Before       string    // only those that come after the deployment with this id: the cursor of a page
	Limit        int       // at most 1,000; zero: 100
}

// Deployments are the records of deployments.
type Deployments interface {
	// CreateDeployment stores a new deployment, due at once, with Version 1. Its ID exists, or a deployment on record was
	// started with its Key: Conflict. Older live deployments of the service in that environment become due, too: they have
	// to make way.
	CreateDeployment(ctx context.Context, d Deployment) error
	Deployment(ctx context.Context, id string) (Deployment, error)
	ListDeployments(ctx context.Context, f DeploymentFilter) ([]Deployment, error)
	// Versions are those of the deployments with these ids, as far as they exist. With nil they are those of all live
	// ones and, so that none is missed that ended at once, of the hundred newest.
	Versions(ctx context.Context, ids []string) (map[string]int64, error)
	// Places are where something was ever deployed: a service and an environment each, after that one, in the order of
	// their bytes. At most 1,000; zero: 100. It costs what there are places, not what there are deployments.
	Places(ctx context.Context, after Scope, limit int) ([]Scope, error)
}

// Lease is the right to work on a deployment, until then or until another takes it. Fence grows with each taking.
type Lease struct {
	Deployment string
	Owner      string
	Fence      int64
	Until      time.Time
}

// Work is a leased deployment and what its next tick depends on, read in one transaction with the lease.
type Work struct {
	Lease      Lease
	Now        time.Time // when it was taken, by the store's clock
	Deployment Deployment
	Open       *Effect  // the intent without outcome; nil: none
	Command    *Command // the oldest unanswered one; nil: none
	Newer      string   // a newer live deployment of the same service and environment
}

// Leases share the work: a deployment that is due, or has an unanswered command, and has no living owner goes to
// whoever takes it first.
type Leases interface {
	// Take leases up to limit deployments for ttl, the longest overdue first, those that the owner holds already apart.
	// An owner that was killed and comes back under the same name does not get its old leases back before they expire.
	Take(ctx context.Context, owner string, ttl time.Duration, limit int) ([]Work, error)
	// Renew extends a lease, or is ErrFenced.
	Renew(ctx context.Context, lease Lease, ttl time.Duration) (Lease, error)
	// GiveBack ends a lease; one that is not held any more is no error.
	GiveBack(ctx context.Context, lease Lease) error
}

// Effect is something done to the outside world: first the intent, then the outcome. One per OpID.
type Effect struct {
	Deployment string    `json:"deployment"`
	Fence      int64     `json:"fence"`
	Desired    Desired   `json:"desired"`
	Begun      time.Time `json:"begun"`
	Outcome    *Outcome  `json:"outcome,omitempty"`
}

// Tick is everything that one tick writes, in one transaction.
type Tick struct {
	Lease    Lease
	Version  int64  // of the deployment when it was read; another since then: Conflict
	Before   Status // of the deployment when it was read
	Input    Input  // what the decision was made from. Its Outcome closes the open effect, its Command is answered
	Decision Decision
	// Measurements are, with Before and Input, the decision's evidence: kept long where the decision changed something.
	Measurements []Measurement
	Baselines    []Baseline // frozen now; once per deployment
	Notifiers    []string   // each of the decision's facts goes to each of these
	GiveBack     bool       // the lease, in the same transaction
}

// Journal is the write-ahead log of ticks and effects.
type Journal interface {
	// Commit writes a tick, counts the deployment's Version up, stores an intent for Decision.Apply, and gives back the
	// deployment as stored. A lease that is not held any more: ErrFenced. Decision.Slot and no slot left: ErrNoSlot, and
	// nothing is written. A commit with an intent, an outcome or a change of state is on disk when it returns.
	Commit(ctx context.Context, t Tick) (Deployment, error)
}

// Entry is one tick on record: a decision and what it was made from. The same Before and Input give the same Decision
// again, as long as the code is the same. Of a tick that changed nothing, Before, Decision and Input.Watches are zero:
// they follow from the entries before it and from the measurements of its time.
type Entry struct {
	Deployment string   `json:"deployment"`
	Seq        int64    `json:"seq"`    // rises within the deployment: the version that the tick made
	Quiet      bool     `json:"quiet"`  // nothing was changed, and nobody had asked
	Before     Status   `json:"before"` // what the deployment was when it was decided
	Input      Input    `json:"input"`
	Decision   Decision `json:"decision"`
}

// MeasurementFilter selects measurements of one deployment, oldest first; zero fields select all.
type MeasurementFilter struct {
	Check string
	From  time.Time
	To    time.Time
	Limit int // at most 10,000; zero: 1,000. More than that are thinned out evenly, the first and the last kept.
}

// History is what was recorded of a deployment.
type History interface {
	// Entries are the decisions that changed something, and those that answered a human, after seq, oldest first.
	Entries(ctx context.Context, deployment string, after int64, limit int) ([]Entry, error)
	// Ticks are the entries of all ticks that are still on record, after seq, oldest first.
	Ticks(ctx context.Context, deployment string, after int64, limit int) ([]Entry, error)
	Effects(ctx context.Context, deployment string) ([]Effect, error)
	Assessments(ctx context.Context, deployment string, f MeasurementFilter) ([]Assessment, error) // of the ticks on record
	Measurements(ctx context.Context, deployment string, f MeasurementFilter) ([]Measurement, error)
	Baselines(ctx context.Context, deployment string) ([]Baseline, error)
	Facts(ctx context.Context, deployment string) ([]Fact, error)
	// Compact forgets the measurements and quiet ticks of ended deployments before then, and says how many rows went.
	Compact(ctx context.Context, before time.Time) (int64, error)
}

// Releases are what is known of releases.
type Releases interface {
	// LastGood is the release that was found good last, in that environment, and was not rolled back since.
	LastGood(ctx context.Context, service, environment string) (ReleaseRecord, error)
	// Standing is what is known of one release there.
	Standing(ctx context.Context, service, environment, identity string) (ReleaseRecord, error)
	// Mark records a standing outside a deployment: adopted, or marked good by a human. The entries are put on record with
	// it, as those of PutHold and LiftHold.
	Mark(ctx context.Context, r ReleaseRecord, entries ...AuditEntry) error
	// HoldOf is the hold on a release that is in force now.
	HoldOf(ctx context.Context, service, environment, identity string) (ReleaseHold, error)
	PutHold(ctx context.Context, h ReleaseHold, entries ...AuditEntry) error
	// LiftHold is NotFound where there is none.
	LiftHold(ctx context.Context, service, environment, identity string, entries ...AuditEntry) error
	// ListHolds are the holds in force, by service, environment and identity.
	ListHolds(ctx context.Context, f ReleaseFilter) ([]ReleaseHold, error)
	// ListReleases are the releases that something is known of; what was recorded last comes first.
	ListReleases(ctx context.Context, f ReleaseFilter) ([]ReleaseRecord, error)
}

// ReleaseFilter selects releases or holds; zero fields select all.
type ReleaseFilter struct {
	Service     string
	Environment string
	After       ReleaseKey // only those that come after this one: the cursor of a page
	Limit       int        // at most 1,000; zero: 100
}

// ReleaseKey names a release in one environment.
type ReleaseKey struct {
	Service     string
	Environment string
	Identity    string
}

// Commands are what humans ask for.
type Commands interface {
	// Ask stores a command and makes the deployment due. The same ID again is no error and changes nothing. An ended
	// deployment: Conflict.
	Ask(ctx context.Context, c Command) error
}

// Delivery is a fact on its way to one notifier.
type Delivery struct {
	Fact     Fact
	Notifier string
	Tries    int // before this one
}

// Outbox holds the facts that were not delivered yet, in order per deployment and notifier.
type Outbox interface {
	// Undelivered are facts that are due now, not more than one per deployment and notifier, the oldest first. They are
	// the caller's for the time of claim.
	Undelivered(ctx context.Context, owner string, claim time.Duration, limit int) ([]Delivery, error)
	Delivered(ctx context.Context, d Delivery) error
	// Postpone tries again at that time.
	Postpone(ctx context.Context, d Delivery, until time.Time, why string) error
	// Abandon gives a delivery up for good; it stays visible in Dead.
	Abandon(ctx context.Context, d Delivery, why string) error
	// Waiting is how many deliveries are neither made nor abandoned.
	Waiting(ctx context.Context, deployment string) (int, error)
	// Dead are the deliveries that were abandoned, the oldest first.
	Dead(ctx context.Context, f DeadFilter) ([]DeadDelivery, error)
	// Retry puts an abandoned delivery at the end of its queue, as if it had never been tried. One that is not abandoned
	// is NotFound; one that had more or fewer tries than d says is a Conflict.
	Retry(ctx context.Context, d Delivery) error
}

// DeadDelivery is a delivery that was abandoned.
type DeadDelivery struct {
	Delivery
	Cursor int64     // its place in the list
	Why    string    // the last try failed
	At     time.Time // when it was abandoned; zero: before that was kept on record
}

// DeadFilter selects deliveries that were abandoned; zero fields select all.
type DeadFilter struct {
	After    int64 // only those with a larger cursor
	Notifier string
	Fact     string // id
	Limit    int    // at most 1,000; zero: 100
}

// Line is what stands above single deployments.
type Line interface {
	// Fleet is the state of everything else; Stopped is of the stops that hold for the deployment, the widest of them.
	Fleet(ctx context.Context, environment, deployment string) (Fleet, error)
	// StopLine keeps ADG from acting within a scope until ResumeLine. The same scope again puts another reason on record.
	// Stop.At is the store's. The entries are put on record with it.
	StopLine(ctx context.Context, s Stop, entries ...AuditEntry) error
	// ResumeLine ends the stop of exactly that scope, with the entries on record, or is NotFound.
	ResumeLine(ctx context.Context, scope Scope, actor string, entries ...AuditEntry) error
	// Stops are the stops in force, the widest first.
	Stops(ctx context.Context) ([]Stop, error)
}

// Scope is a part of what ADG guards: a service, an environment, one in the other. Empty fields mean all.
type Scope struct {
	Service     string `json:"service,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// Stop keeps ADG from acting within a scope.
type Stop struct {
	Scope
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Event is a fact as it stands in the one order that all replicas agree on.
type Event struct {
	Cursor int64 `json:"cursor"` // rises, with gaps
	Fact   Fact  `json:"fact"`
}

// EventFilter selects events, oldest first; zero fields select all. What is of no service concerns each of them, and what is
// of no environment each of those, as a stop of everything does: it is selected with the one that is asked for.
type EventFilter struct {
	After       int64 // only events with a larger cursor
	Newest      bool  // the newest come first, and After is what they come before; zero: all of them do
	Deployment  string
	Service     string
	Environment string
	Kinds       []FactKind
	Limit       int // at most 1,000; zero: 100
}

// EventLog is the facts of all deployments, and those of the audit entries that people are told of (AuditEntry.Fact):
// whatever appends an entry stores its fact with it.
type EventLog interface {
	// Events are the next ones, and the cursor to go on after: nothing that is stored later has a cursor up to there, so
	// that a reader who goes on misses nothing and sees nothing twice. What does not match the filter is passed over. Of
	// the newest ones, the cursor is 0 where there are no older ones.
	Events(ctx context.Context, f EventFilter) (events []Event, next int64, err error)
	// LastEvent is the cursor after which only what is stored from now on comes.
	LastEvent(ctx context.Context) (int64, error)
}

// Backlog is what waits to be done.
type Backlog struct {
	Due         int           `json:"due"`         // deployments that are due, and that nobody has taken
	Late        time.Duration `json:"late"`        // how long the first of them has been due
	Held        int           `json:"held"`        // deployments that somebody has taken
	Expired     int           `json:"expired"`     // deployments whose owner let the lease run out: he is gone, or hangs
	Undelivered int           `json:"undelivered"` // deliveries that are neither made nor given up
	Oldest      time.Duration `json:"oldest"`      // how long ago the first of their facts became true
	Dead        int           `json:"dead"`        // deliveries that were given up
}

// Retention says what is old: what ended before those times. Zero: nothing is.
type Retention struct {
	Decisions time.Time // ended deployments, with everything that is on record of them
	Events    time.Time // facts of ended deployments, and of none, that were delivered; the newest of all stays
	Dead      time.Time // deliveries that were given up, by the time of their fact
}

// Upkeep is how the store is doing, and what keeps it small.
type Upkeep interface {
	Backlog(ctx context.Context) (Backlog, error)
	// Forget forgets what is old, a bounded part of it in one call, and says how many rows went. Nobody waits for it: it
	// writes in small transactions. What somebody still has to be told stays, and so does the audit log.
	Forget(ctx context.Context, old Retention) (int64, error)
}
