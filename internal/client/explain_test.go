package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestAnErrorHasTheCodeTheSentenceTheWayOutAndTheFieldsOfTheServer(t *testing.T) {
	detail := func(code adgv1.ErrorCode, sentence, wayOut string) *adgv1.ErrorDetail {
		return &adgv1.ErrorDetail{Code: code, Sentence: sentence, WayOut: wayOut, RequestId: "r7"}
	}
	for _, c := range []struct {
		name    string
		code    codes.Code
		details []protoadapt.MessageV1
		want    adg.Code
		text    string
	}{
		{"wrong fields", codes.InvalidArgument, details(detail(adgv1.ErrorCode_ERROR_CODE_INVALID, "the request is wrong", "see the fields"),
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "release.version", Description: "is empty"}, {Field: "reason", Description: "is \x1b[31mred"}}}),
			adg.Invalid, "the request is wrong: see the fields\n  release.version: is empty\n  reason: is ·[31mred"},
		{"a field that the sentence tells of", codes.InvalidArgument, details(detail(adgv1.ErrorCode_ERROR_CODE_INVALID, "a token lives a year at most\n", "say less"),
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "lifetime", Description: "a token lives a year at most"}}}),
			adg.Invalid, "a token lives a year at most: say less"},
		{"a field that the sentence and its way out tell of", codes.InvalidArgument, details(detail(adgv1.ErrorCode_ERROR_CODE_INVALID, "7 is no kind", "choose one of a, b"),
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "kind", Description: "7 is no kind: choose one of a, b"}}}),
			adg.Invalid, "7 is no kind: choose one of a, b"},
		{"a line of a file with a caret", codes.InvalidArgument, details(detail(adgv1.ErrorCode_ERROR_CODE_INVALID, "3:9: no such target\n  target: x\n          ^", "correct it")),
			adg.Invalid, "3:9: no such target\n  target: x\n          ^\ncorrect it"},
		{"not found", codes.NotFound, details(detail(adgv1.ErrorCode_ERROR_CODE_NOT_FOUND, "there is no deployment x.", "adg deploy list")), adg.NotFound, "there is no deployment x: adg deploy list"},
		{"conflict", codes.Aborted, details(detail(adgv1.ErrorCode_ERROR_CODE_CONFLICT, "it changed", "")), adg.Conflict, "it changed"},
		{"may not", codes.PermissionDenied, details(detail(adgv1.ErrorCode_ERROR_CODE_UNAUTHORIZED, "you may not", "ask an admin")), adg.Unauthorized, "you may not: ask an admin"},
		{"away", codes.Unavailable, details(detail(adgv1.ErrorCode_ERROR_CODE_UNAVAILABLE, "the store is away", "wait")), adg.Unavailable, "the store is away: wait"},
		{"the server's own fault", codes.Internal, details(detail(adgv1.ErrorCode_ERROR_CODE_INTERNAL, "oops", "tell us")), adg.Internal, "oops: tell us; the server's log has it under r7"},
		{"a code that nobody gave", codes.Internal, details(detail(adgv1.ErrorCode_ERROR_CODE_UNSPECIFIED, "oops", "")), adg.Internal, "oops: the server's log has it under r7"},
		{"a proxy's refusal", codes.Unauthenticated, nil, adg.Unauthorized, "plain: log in with adg login SERVER"},
		{"a proxy's other refusal", codes.PermissionDenied, nil, adg.Unauthorized, "plain: adg whoami says what you may do"},
		{"an older server", codes.Unimplemented, nil, adg.Unavailable, "SERVER does not offer this: it is older than this program, or no ADG server"},
		{"out of nowhere", codes.Unknown, nil, adg.Internal, "SERVER: plain"},
		{"wrong, without a word on it", codes.OutOfRange, nil, adg.Invalid, "plain"},
		{"gone, without a word on it", codes.NotFound, nil, adg.NotFound, "plain"},
		{"in the way, without a word on it", codes.FailedPrecondition, nil, adg.Conflict, "plain"},
		{"too fast, without a word on it", codes.ResourceExhausted, nil, adg.Unavailable, "plain: try again later"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := status.New(c.code, "plain")
			if len(c.details) > 0 {
				var err error
				if answer, err = answer.WithDetails(c.details...); err != nil {
					t.Fatal(err)
				}
			}
			err := caller{server: "SERVER"}.explained(t.Context(), answer.Err())
			if adg.CodeOf(err) != c.want || err.Error() != c.text {
				t.Errorf("%s: %q, want %s: %q", adg.CodeOf(err), err, c.want, c.text)
			}
			if status.Code(err) != c.code {
				t.Errorf("the answer itself is lost: %s", status.Code(err))
			}
		})
	}
}

func TestAnErrorComesThroughARealConnectionWithItsWords(t *testing.T) {
	answer, err := status.New(codes.ResourceExhausted, "plain").WithDetails(
		&adgv1.ErrorDetail{Code: adgv1.ErrorCode_ERROR_CODE_UNAVAILABLE, Sentence: "too fast", WayOut: "wait a little"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	at, _ := serve(t, &fake{get: func(context.Context, *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
		return nil, answer.Err()
	}}, "127.0.0.1:0")
	_, err = dial(t, contexts.Context{Server: "http://" + at}, Options{}).Deployments.GetDeployment(t.Context(), &adgv1.GetDeploymentRequest{})
	if wait, throttled := adg.RetryAfter(err); !throttled || wait != 3*time.Second || adg.CodeOf(err) != adg.Unavailable || err.Error() != "too fast: wait a little" {
		t.Errorf("%s: %v, wait %s", adg.CodeOf(err), err, wait)
	}
}

func TestTheCallersOwnEndIsNotTheServersFault(t *testing.T) {
	why := errors.New("ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	at, _ := serve(t, &fake{}, "127.0.0.1:0")
	_, err := dial(t, contexts.Context{Server: "http://" + at}, Options{}).Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{})
	if !errors.Is(err, why) {
		t.Error(err)
	}
}

func details(all ...protoadapt.MessageV1) []protoadapt.MessageV1 { return all }
