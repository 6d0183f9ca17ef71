package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// answered is an error as the server, or the way to it, gave it, in words for people.
type answered struct {
	text   string
	status *status.Status
	ours   bool // an ADG server said so, not a proxy or the network
}

// Error is the sentence, the way out, and the fields that are wrong.
func (a *answered) Error() string { return a.text }

// GRPCStatus is the answer itself.
func (a *answered) GRPCStatus() *status.Status { return a.status }

// explained is the error of a call with the code and the words that the server gave it. The end of a stream stays what
// it is, and so does the end of the caller's context.
func (c caller) explained(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	s := status.Convert(err)
	if s.Code() == codes.Canceled && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a := &answered{status: s}
	code, sentence, wayOut := c.plain(s)
	var fields []*errdetails.BadRequest_FieldViolation
	var throttled *errdetails.RetryInfo
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *adgv1.ErrorDetail:
			a.ours = true
			code = codeOf(d.GetCode())
			sentence, wayOut = d.GetSentence(), d.GetWayOut()
			if code == adg.Internal && d.GetRequestId() != "" {
				wayOut = strings.TrimPrefix(wayOut+"; the server's log has it under "+d.GetRequestId(), "; ")
			}
		case *errdetails.BadRequest:
			fields = append(fields, d.GetFieldViolations()...)
		case *errdetails.RetryInfo:
			throttled = d
		}
	}
	if sentence == "" {
		sentence = s.Message()
	}
	text := said(sentence, wayOut)
	a.text = adg.Printable(text + strings.Join(unsaid(text, fields), ""))
	err = adg.Errorf(code, "%w", a)
	if throttled != nil {
		err = adg.Throttled(err, throttled.GetRetryDelay().AsDuration())
	}
	return err
}

// plain is what an answer without ADG's own words means.
func (c caller) plain(s *status.Status) (code adg.Code, sentence, wayOut string) {
	switch s.Code() {
	case codes.InvalidArgument, codes.OutOfRange:
		return adg.Invalid, s.Message(), ""
	case codes.NotFound:
		return adg.NotFound, s.Message(), ""
	case codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition:
		return adg.Conflict, s.Message(), ""
	case codes.Unauthenticated:
		return adg.Unauthorized, s.Message(), "log in with adg login " + c.server
	case codes.PermissionDenied:
		return adg.Unauthorized, s.Message(), "adg whoami says what you may do"
	case codes.Unavailable:
		if wrong := c.trust.wrong(); wrong != nil {
			return adg.Unavailable, c.server + " is not trusted: " + wrong.Error(), "if it is the right server, name the authority that signed its certificate: adg login " + c.server + " --ca FILE, or ADG_CA=FILE"
		}
		return adg.Unavailable, c.server + " does not answer: " + s.Message(), "check the address and the network, or try again later"
	case codes.DeadlineExceeded:
		return adg.Unavailable, c.server + " did not answer in time", "try again later"
	case codes.ResourceExhausted:
		return adg.Unavailable, s.Message(), "try again later"
	case codes.Unimplemented:
		return adg.Unavailable, c.server + " does not offer this", "it is older than this program, or no ADG server"
	case codes.OK, codes.Canceled, codes.Unknown, codes.Internal, codes.DataLoss:
		return adg.Internal, c.server + ": " + s.Message(), ""
	}
	return adg.Internal, c.server + ": " + s.Message(), ""
}

// codeOf is the root's code for the API's.
func codeOf(code adgv1.ErrorCode) adg.Code {
	switch code {
	case adgv1.ErrorCode_ERROR_CODE_INVALID:
		return adg.Invalid
	case adgv1.ErrorCode_ERROR_CODE_NOT_FOUND:
		return adg.NotFound
	case adgv1.ErrorCode_ERROR_CODE_CONFLICT:
		return adg.Conflict
	case adgv1.ErrorCode_ERROR_CODE_UNAUTHORIZED:
		return adg.Unauthorized
	case adgv1.ErrorCode_ERROR_CODE_UNAVAILABLE:
		return adg.Unavailable
	case adgv1.ErrorCode_ERROR_CODE_UNSPECIFIED, adgv1.ErrorCode_ERROR_CODE_INTERNAL:
		return adg.Internal
	}
	return adg.Internal
}

// said joins what went wrong and what to do, unless the one holds the other.
func said(sentence, wayOut string) string {
	sentence = strings.TrimRight(strings.TrimSpace(sentence), ".:")
	if wayOut == "" || strings.Contains(sentence, wayOut) {
		return sentence
	}
	if strings.Contains(sentence, "\n") { // it ends with a line of a file, and a caret
		return sentence + "\n" + wayOut
	}
	return sentence + ": " + wayOut
}

// unsaid are the fields that are wrong, a line each, without those that the text tells of already.
func unsaid(text string, fields []*errdetails.BadRequest_FieldViolation) (lines []string) {
	for _, v := range fields {
		if !strings.Contains(text, v.GetDescription()) {
			lines = append(lines, fmt.Sprintf("\n  %s: %s", v.GetField(), v.GetDescription()))
		}
	}
	return lines
}

// passing tells whether an error is one that waiting may cure: the server or the way to it was away. What an ADG server
// said itself is believed.
func passing(err error) bool {
	var a *answered
	if !errors.As(err, &a) {
		return errors.Is(err, io.EOF) // the stream ended, the deployment did not
	}
	switch a.status.Code() {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	case codes.Canceled, codes.Unknown, codes.Internal, codes.Aborted, codes.DataLoss:
		return !a.ours
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition, codes.OutOfRange,
		codes.Unimplemented, codes.Unauthenticated:
		return false
	}
	return false
}
