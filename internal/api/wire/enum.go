package wire

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// State is the state of a deployment.
func State(s adg.State) adgv1.State { return states.to(s) }

// Action is what a human asks of a deployment.
func Action(c adg.CommandKind) adgv1.Action { return actions.to(c) }

// ReadAction is the command; an action that was not given is Invalid.
func ReadAction(a adgv1.Action) (adg.CommandKind, error) {
	if a == adgv1.Action_ACTION_UNSPECIFIED {
		return adg.CommandNone, unknown(a)
	}
	return actions.from(a)
}

// ReadStates are the states that a filter names.
func ReadStates(all []adgv1.State) ([]adg.State, error) { return states.read(all) }

// ReadHealths are the healths that a filter names.
func ReadHealths(all []adgv1.Health) ([]adg.Health, error) { return healths.read(all) }

// ReadStandings are the standings that a filter names.
func ReadStandings(all []adgv1.Standing) ([]adg.Standing, error) { return standings.read(all) }

// ReadAuditOutcomes are the outcomes that a filter names.
func ReadAuditOutcomes(all []adgv1.AuditOutcome) ([]adg.AuditOutcome, error) {
	return auditOutcomes.read(all)
}

// ReadFactKinds are the kinds that a filter names; one that is not given is Invalid.
func ReadFactKinds(all []adgv1.FactKind) ([]adg.FactKind, error) {
	if slices.Contains(all, adgv1.FactKind_FACT_KIND_UNSPECIFIED) {
		return nil, unknown(adgv1.FactKind_FACT_KIND_UNSPECIFIED)
	}
	return factKinds.read(all)
}

// ReadArm is the arm that a filter names; nil: both.
func ReadArm(a adgv1.Arm) (*adg.Arm, error) {
	if a == adgv1.Arm_ARM_UNSPECIFIED {
		return nil, nil
	}
	read, err := arms.from(a)
	return &read, err
}

// ReadTrust is a level of trust; one that was not given is Invalid.
func ReadTrust(t adgv1.Trust) (adg.Trust, error) { return trusts.from(t) }

// ReadSeam is the name of a kind of connection, as control has it; empty: not given.
func ReadSeam(s adgv1.Seam) (string, error) {
	switch s {
	case adgv1.Seam_SEAM_UNSPECIFIED:
		return "", nil
	case adgv1.Seam_SEAM_SOURCE:
		return "source", nil
	case adgv1.Seam_SEAM_TARGET:
		return "target", nil
	case adgv1.Seam_SEAM_NOTIFIER:
		return "notifier", nil
	}
	return "", unknown(s)
}

// Seam is the kind of a connection by its name; a name that is none is not given.
func Seam(name string) adgv1.Seam {
	switch name {
	case "source":
		return adgv1.Seam_SEAM_SOURCE
	case "target":
		return adgv1.Seam_SEAM_TARGET
	case "notifier":
		return adgv1.Seam_SEAM_NOTIFIER
	}
	return adgv1.Seam_SEAM_UNSPECIFIED
}

// ErrorCode is the kind of an error.
func ErrorCode(c adg.Code) adgv1.ErrorCode { return errorCodes.to(c) }

// Private

// enum is an enum of ours, value by value, in the API's words.
type enum[R ~uint8, W wireEnum] []W

type wireEnum interface {
	~int32
	protoreflect.Enum
}

// to is the value in the API's words; a value that does not exist is its zero, which says that nothing is known.
func (e enum[R, W]) to(r R) W {
	if int(r) < len(e) {
		return e[r]
	}
	return 0
}

// from is the value in our words; what has none is Invalid.
func (e enum[R, W]) from(w W) (R, error) {
	if i := slices.Index(e, w); i >= 0 {
		return R(i), nil
	}
	return 0, unknown(w)
}

func (e enum[R, W]) read(all []W) ([]R, error) {
	var made []R
	for _, w := range all {
		r, err := e.from(w)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(made, r) {
			made = append(made, r)
		}
	}
	return made, nil
}

// unknown refuses a value, naming the choices.
func unknown(e protoreflect.Enum) error {
	var choices []string
	values := e.Descriptor().Values()
	for i := range values.Len() {
		if name := string(values.Get(i).Name()); !strings.HasSuffix(name, "_UNSPECIFIED") {
			choices = append(choices, name)
		}
	}
	return adg.Advised(adg.Errorf(adg.Invalid, "%d is no %s that can be asked for", e.Number(), e.Descriptor().Name()), "choose one of %s", strings.Join(choices, ", "))
}

var (
	states = enum[adg.State, adgv1.State]{
		adg.Pending: adgv1.State_STATE_PENDING, adg.Gated: adgv1.State_STATE_GATED, adg.Rolling: adgv1.State_STATE_ROLLING,
		adg.Verifying: adgv1.State_STATE_VERIFYING, adg.Held: adgv1.State_STATE_HELD, adg.RollbackPending: adgv1.State_STATE_ROLLBACK_PENDING,
		adg.RollingBack: adgv1.State_STATE_ROLLING_BACK, adg.VerifyingRollback: adgv1.State_STATE_VERIFYING_ROLLBACK,
		adg.Blocked: adgv1.State_STATE_BLOCKED, adg.Succeeded: adgv1.State_STATE_SUCCEEDED, adg.RolledBack: adgv1.State_STATE_ROLLED_BACK,
		adg.RollbackFailed: adgv1.State_STATE_ROLLBACK_FAILED, adg.Cancelled: adgv1.State_STATE_CANCELLED,
		adg.Superseded: adgv1.State_STATE_SUPERSEDED, adg.Undecided: adgv1.State_STATE_UNDECIDED,
	}
	actions = enum[adg.CommandKind, adgv1.Action]{
		adg.CommandNone: adgv1.Action_ACTION_UNSPECIFIED, adg.CommandPromote: adgv1.Action_ACTION_PROMOTE, adg.CommandHold: adgv1.Action_ACTION_HOLD,
		adg.CommandResume: adgv1.Action_ACTION_RESUME, adg.CommandRollBack: adgv1.Action_ACTION_ROLL_BACK, adg.CommandCancel: adgv1.Action_ACTION_CANCEL,
		adg.CommandApprove: adgv1.Action_ACTION_APPROVE, adg.CommandReject: adgv1.Action_ACTION_REJECT,
	}
	healths = enum[adg.Health, adgv1.Health]{
		adg.HealthUnknown: adgv1.Health_HEALTH_UNKNOWN, adg.Healthy: adgv1.Health_HEALTH_HEALTHY,
		adg.Degraded: adgv1.Health_HEALTH_DEGRADED, adg.Unhealthy: adgv1.Health_HEALTH_UNHEALTHY,
	}
	verdicts = enum[adg.Verdict, adgv1.Verdict]{
		adg.Unknown: adgv1.Verdict_VERDICT_UNKNOWN, adg.Pass: adgv1.Verdict_VERDICT_PASS,
		adg.Warn: adgv1.Verdict_VERDICT_WARN, adg.Fail: adgv1.Verdict_VERDICT_FAIL,
	}
	whys = enum[adg.Why, adgv1.Why]{
		adg.WhyNone: adgv1.Why_WHY_UNSPECIFIED, adg.NoData: adgv1.Why_WHY_NO_DATA, adg.SourceError: adgv1.Why_WHY_SOURCE_ERROR,
		adg.StaleData: adgv1.Why_WHY_STALE, adg.TooFew: adgv1.Why_WHY_TOO_FEW, adg.NoBaseline: adgv1.Why_WHY_NO_BASELINE,
		adg.NotANumber: adgv1.Why_WHY_NOT_A_NUMBER, adg.ClockSkew: adgv1.Why_WHY_CLOCK_SKEW, adg.AmbiguousAnswer: adgv1.Why_WHY_AMBIGUOUS,
		adg.WithinLimits: adgv1.Why_WHY_WITHIN_LIMITS, adg.BeyondWarn: adgv1.Why_WHY_BEYOND_WARN, adg.BeyondFail: adgv1.Why_WHY_BEYOND_FAIL,
		adg.Preexisting: adgv1.Why_WHY_PREEXISTING, adg.ProbeFailed: adgv1.Why_WHY_PROBE_FAILED, adg.ProbeFailing: adgv1.Why_WHY_PROBE_FAILING,
		adg.NotDue: adgv1.Why_WHY_NOT_DUE, adg.Worse: adgv1.Why_WHY_WORSE, adg.NotWorse: adgv1.Why_WHY_NOT_WORSE,
		adg.NothingFound: adgv1.Why_WHY_NOTHING_FOUND, adg.TooEarly: adgv1.Why_WHY_TOO_EARLY, adg.Silent: adgv1.Why_WHY_SILENT,
		adg.WrongShare: adgv1.Why_WHY_WRONG_SHARE,
	}
	proofs = enum[adg.Proof, adgv1.Proof]{
		adg.Unproven: adgv1.Proof_PROOF_UNSPECIFIED, adg.Baked: adgv1.Proof_PROOF_BAKED, adg.Proven: adgv1.Proof_PROOF_PROVEN,
	}
	arms      = enum[adg.Arm, adgv1.Arm]{adg.CandidateArm: adgv1.Arm_ARM_CANDIDATE, adg.BaselineArm: adgv1.Arm_ARM_BASELINE}
	standings = enum[adg.Standing, adgv1.Standing]{
		adg.StandingUnknown: adgv1.Standing_STANDING_UNKNOWN, adg.StandingGood: adgv1.Standing_STANDING_GOOD,
		adg.StandingRolledBack: adgv1.Standing_STANDING_ROLLED_BACK,
	}
	decisionKinds = enum[adg.DecisionKind, adgv1.DecisionKind]{
		adg.Continue: adgv1.DecisionKind_DECISION_KIND_CONTINUE, adg.Hold: adgv1.DecisionKind_DECISION_KIND_HOLD,
		adg.Promote: adgv1.DecisionKind_DECISION_KIND_PROMOTE, adg.RollBack: adgv1.DecisionKind_DECISION_KIND_ROLL_BACK,
	}
	factKinds = enum[adg.FactKind, adgv1.FactKind]{
		adg.FactNone: adgv1.FactKind_FACT_KIND_UNSPECIFIED, adg.FactStarted: adgv1.FactKind_FACT_KIND_STARTED,
		adg.FactGated: adgv1.FactKind_FACT_KIND_GATED, adg.FactBlocked: adgv1.FactKind_FACT_KIND_BLOCKED,
		adg.FactPromoted: adgv1.FactKind_FACT_KIND_PROMOTED, adg.FactHeld: adgv1.FactKind_FACT_KIND_HELD,
		adg.FactResumed: adgv1.FactKind_FACT_KIND_RESUMED, adg.FactAsked: adgv1.FactKind_FACT_KIND_ASKED,
		adg.FactSuggested: adgv1.FactKind_FACT_KIND_SUGGESTED, adg.FactCondemned: adgv1.FactKind_FACT_KIND_CONDEMNED,
		adg.FactReprieved: adgv1.FactKind_FACT_KIND_REPRIEVED, adg.FactRollbackStarted: adgv1.FactKind_FACT_KIND_ROLLBACK_STARTED,
		adg.FactRolledBack: adgv1.FactKind_FACT_KIND_ROLLED_BACK, adg.FactRollbackFailed: adgv1.FactKind_FACT_KIND_ROLLBACK_FAILED,
		adg.FactSucceeded: adgv1.FactKind_FACT_KIND_SUCCEEDED, adg.FactCancelled: adgv1.FactKind_FACT_KIND_CANCELLED,
		adg.FactSuperseded: adgv1.FactKind_FACT_KIND_SUPERSEDED, adg.FactDeadline: adgv1.FactKind_FACT_KIND_DEADLINE,
		adg.FactBlind: adgv1.FactKind_FACT_KIND_BLIND, adg.FactPage: adgv1.FactKind_FACT_KIND_PAGE,
		adg.FactWarning: adgv1.FactKind_FACT_KIND_WARNING, adg.FactChanged: adgv1.FactKind_FACT_KIND_CHANGED,
	}
	gateStates = enum[adg.GateState, adgv1.GateState]{
		adg.GateUnknown: adgv1.GateState_GATE_STATE_UNKNOWN, adg.GateOpen: adgv1.GateState_GATE_STATE_OPEN,
		adg.GateShut: adgv1.GateState_GATE_STATE_SHUT, adg.GateRefused: adgv1.GateState_GATE_STATE_REFUSED,
	}
	roles = enum[adg.Role, adgv1.Role]{
		adg.StableRole: adgv1.Role_ROLE_STABLE, adg.CandidateRole: adgv1.Role_ROLE_CANDIDATE, adg.IdleRole: adgv1.Role_ROLE_IDLE,
	}
	auditOutcomes = enum[adg.AuditOutcome, adgv1.AuditOutcome]{
		adg.AuditUnknown: adgv1.AuditOutcome_AUDIT_OUTCOME_UNKNOWN, adg.AuditDone: adgv1.AuditOutcome_AUDIT_OUTCOME_DONE,
		adg.AuditDenied: adgv1.AuditOutcome_AUDIT_OUTCOME_DENIED, adg.AuditFailed: adgv1.AuditOutcome_AUDIT_OUTCOME_FAILED,
	}
	comparisons = enum[adg.Comparison, adgv1.Comparison]{
		adg.Threshold: adgv1.Comparison_COMPARISON_THRESHOLD, adg.Relative: adgv1.Comparison_COMPARISON_RELATIVE,
		adg.Probe: adgv1.Comparison_COMPARISON_PROBE, adg.Events: adgv1.Comparison_COMPARISON_EVENTS,
		adg.Sequential: adgv1.Comparison_COMPARISON_SEQUENTIAL, adg.MannWhitney: adgv1.Comparison_COMPARISON_MANN_WHITNEY,
		adg.Logs: adgv1.Comparison_COMPARISON_LOGS,
	}
	logLevels = enum[adg.LogLevel, adgv1.LogLevel]{
		adg.LevelUnknown: adgv1.LogLevel_LOG_LEVEL_UNSPECIFIED, adg.LevelDebug: adgv1.LogLevel_LOG_LEVEL_DEBUG, adg.LevelInfo: adgv1.LogLevel_LOG_LEVEL_INFO,
		adg.LevelWarn: adgv1.LogLevel_LOG_LEVEL_WARN, adg.LevelError: adgv1.LogLevel_LOG_LEVEL_ERROR, adg.LevelPanic: adgv1.LogLevel_LOG_LEVEL_PANIC,
	}
	logChanges = enum[adg.LogChange, adgv1.LogChange]{
		adg.LogSame: adgv1.LogChange_LOG_CHANGE_UNSPECIFIED, adg.LogNew: adgv1.LogChange_LOG_CHANGE_NEW, adg.LogMore: adgv1.LogChange_LOG_CHANGE_MORE,
		adg.LogGone: adgv1.LogChange_LOG_CHANGE_GONE,
	}
	baselineKinds = enum[adg.BaselineKind, adgv1.BaselineKind]{
		adg.Concurrent: adgv1.BaselineKind_BASELINE_KIND_CONCURRENT, adg.Historical: adgv1.BaselineKind_BASELINE_KIND_HISTORICAL,
	}
	aggregates = enum[adg.Aggregate, adgv1.Aggregate]{
		adg.Latest: adgv1.Aggregate_AGGREGATE_LATEST, adg.Average: adgv1.Aggregate_AGGREGATE_AVERAGE, adg.Largest: adgv1.Aggregate_AGGREGATE_LARGEST,
		adg.Smallest: adgv1.Aggregate_AGGREGATE_SMALLEST, adg.Sum: adgv1.Aggregate_AGGREGATE_SUM, adg.Median: adgv1.Aggregate_AGGREGATE_MEDIAN,
		adg.P95: adgv1.Aggregate_AGGREGATE_P95,
	}
	directions = enum[adg.Direction, adgv1.Direction]{
		adg.Increase: adgv1.Direction_DIRECTION_INCREASE, adg.Decrease: adgv1.Direction_DIRECTION_DECREASE, adg.Either: adgv1.Direction_DIRECTION_EITHER,
	}
	strategyKinds = enum[adg.StrategyKind, adgv1.StrategyKind]{
		adg.RollingUpdate: adgv1.StrategyKind_STRATEGY_KIND_ROLLING, adg.BlueGreen: adgv1.StrategyKind_STRATEGY_KIND_BLUE_GREEN,
		adg.Canary: adgv1.StrategyKind_STRATEGY_KIND_CANARY, adg.FeatureFlag: adgv1.StrategyKind_STRATEGY_KIND_FEATURE_FLAG,
		adg.Recreate: adgv1.StrategyKind_STRATEGY_KIND_RECREATE,
	}
	trusts = enum[adg.Trust, adgv1.Trust]{
		adg.Observe: adgv1.Trust_TRUST_OBSERVE, adg.Suggest: adgv1.Trust_TRUST_SUGGEST, adg.Ask: adgv1.Trust_TRUST_ASK, adg.Auto: adgv1.Trust_TRUST_AUTO,
	}
	atDeadlines = enum[adg.AtDeadline, adgv1.AtDeadline]{
		adg.EndToLastGood: adgv1.AtDeadline_AT_DEADLINE_TO_LAST_GOOD, adg.EndKeep: adgv1.AtDeadline_AT_DEADLINE_KEEP, adg.EndPage: adgv1.AtDeadline_AT_DEADLINE_PAGE,
	}
	askThens   = enum[adg.AskThen, adgv1.AskThen]{adg.AskThenHold: adgv1.AskThen_ASK_THEN_HOLD, adg.AskThenRollBack: adgv1.AskThen_ASK_THEN_ROLL_BACK}
	errorCodes = enum[adg.Code, adgv1.ErrorCode]{
		adg.Internal: adgv1.ErrorCode_ERROR_CODE_INTERNAL, adg.Invalid: adgv1.ErrorCode_ERROR_CODE_INVALID, adg.NotFound: adgv1.ErrorCode_ERROR_CODE_NOT_FOUND,
		adg.Conflict: adgv1.ErrorCode_ERROR_CODE_CONFLICT, adg.Unauthorized: adgv1.ErrorCode_ERROR_CODE_UNAUTHORIZED,
		adg.Unavailable: adgv1.ErrorCode_ERROR_CODE_UNAVAILABLE,
	}
	// A person is a user whether he shows a password or a session.
	identityKinds = enum[identity.Kind, adgv1.IdentityKind]{
		identity.KindNone: adgv1.IdentityKind_IDENTITY_KIND_UNSPECIFIED, identity.KindUser: adgv1.IdentityKind_IDENTITY_KIND_USER,
		identity.KindToken: adgv1.IdentityKind_IDENTITY_KIND_TOKEN, identity.KindSession: adgv1.IdentityKind_IDENTITY_KIND_USER,
		identity.KindBootstrap: adgv1.IdentityKind_IDENTITY_KIND_BOOTSTRAP,
	}
)
