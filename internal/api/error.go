package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// problem is the answer to an error: a code, a sentence, a way out, and which fields are wrong. What is our own fault is
// told by the request's id only, and stands in the log; so is, to a caller who is not known, what is the matter with the server.
func (a *API) problem(ctx context.Context, request string, known bool, err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown && s.Code() != codes.OK {
		return err // said by the transport itself
	}
	kind := adg.CodeOf(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		if kind == adg.Internal { // it was given up by somebody within, such as a store that looks for another connection
			kind, err = adg.Unavailable, adg.Errorf(adg.Unavailable, "this took too long: %w", err)
		}
	}
	text := err.Error()
	switch {
	case kind == adg.Internal:
		a.o.Log.ErrorContext(ctx, "a request failed for a reason of our own", "request", request, "error", err)
		text = "something went wrong that is ADG's own fault"
	case kind == adg.Unavailable && !known && !throttled(err):
		// Where the store is, and as whom it is asked, is for those who are logged in.
		a.o.Log.WarnContext(ctx, "a request of nobody known could not be answered", "request", request, "error", err)
		text = "the server cannot answer now"
	}
	sentence, way := apart(text, adg.WayOut(err))
	if way == "" {
		way = wayOut(kind, err)
	}
	detail := &adgv1.ErrorDetail{Code: errorCodes[kind], Sentence: legibly(sentence), WayOut: legibly(way), RequestId: request}
	s := status.New(grpcCode(kind, err), legibly(text)) // whole, for who reads no details
	with, err2 := s.WithDetails(detail)
	if err2 != nil {
		return s.Err()
	}
	if fields := violations(err); fields != nil {
		fields = fields[:min(len(fields), maxViolations)]
		if more, err := with.WithDetails(&errdetails.BadRequest{FieldViolations: fields}); err == nil {
			with = more
		}
	}
	if wait, asked := adg.RetryAfter(err); asked {
		if more, err := with.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
			with = more
		}
	}
	return with.Err()
}

const (
	maxSentence   = 8 << 10 // bytes: errors travel as headers
	maxViolations = 100
)

// legibly is a text of an error, as far as one reads.
func legibly(text string) string {
	text = adg.Printable(text)
	if len(text) <= maxSentence {
		return text
	}
	return strings.ToValidUTF8(text[:maxSentence], "") + " …"
}

func throttled(err error) bool {
	_, asked := adg.RetryAfter(err)
	return asked
}

var errorCodes = map[adg.Code]adgv1.ErrorCode{
	adg.Internal: adgv1.ErrorCode_ERROR_CODE_INTERNAL, adg.Invalid: adgv1.ErrorCode_ERROR_CODE_INVALID, adg.NotFound: adgv1.ErrorCode_ERROR_CODE_NOT_FOUND,
	adg.Conflict: adgv1.ErrorCode_ERROR_CODE_CONFLICT, adg.Unauthorized: adgv1.ErrorCode_ERROR_CODE_UNAUTHORIZED, adg.Unavailable: adgv1.ErrorCode_ERROR_CODE_UNAVAILABLE,
}

func grpcCode(kind adg.Code, err error) codes.Code {
	switch kind {
	case adg.Invalid:
		return codes.InvalidArgument
	case adg.NotFound:
		return codes.NotFound
	case adg.Conflict:
		return codes.Aborted
	case adg.Unauthorized:
		if errors.Is(err, identity.ErrDenied) {
			return codes.PermissionDenied
		}
		return codes.Unauthenticated
	case adg.Unavailable:
		if _, asked := adg.RetryAfter(err); asked {
			return codes.ResourceExhausted
		}
		return codes.Unavailable
	case adg.Internal:
	}
	return codes.Internal
}

// apart takes the way out of an error off the sentence that ends with it; a text that does not hold it has none.
func apart(text, wayOut string) (string, string) {
	if wayOut == "" || !strings.Contains(text, wayOut) {
		return text, ""
	}
	return strings.TrimSuffix(text, ": "+wayOut), wayOut
}

// wayOut is what to do where the error does not say so itself.
func wayOut(kind adg.Code, err error) string {
	switch kind {
	case adg.Invalid:
		return "correct what is named and send the request again"
	case adg.NotFound:
		return "look at the list for what there is"
	case adg.Conflict:
		return "look at how it is now, and decide again"
	case adg.Unauthorized:
		if errors.Is(err, identity.ErrDenied) {
			return "ask an admin for the role, or do it as somebody who has it"
		}
		return "log in again: adg login, or with a new token"
	case adg.Unavailable:
		if wait, asked := adg.RetryAfter(err); asked {
			return fmt.Sprintf("wait %s and try again", adg.Span(wait))
		}
		return "try again in a moment"
	case adg.Internal:
	}
	return "report it with the id of the request"
}

// violations are the fields that are wrong: of the request, or of the policy that is in it, with line and column.
func violations(err error) (all []*errdetails.BadRequest_FieldViolation) {
	switch e := err.(type) { //nolint:errorlint // the whole tree is walked
	case config.Problems:
		for _, p := range e {
			all = append(all, &errdetails.BadRequest_FieldViolation{Field: p.Path, Description: legibly(p.String())})
		}
	case *wire.FieldError:
		return []*errdetails.BadRequest_FieldViolation{{Field: e.Field, Description: legibly(e.Error())}}
	case interface{ Unwrap() error }:
		return violations(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, violations(one)...)
		}
	}
	return all
}

// httpStatus is the status of an answer to a REST request.
func httpStatus(c codes.Code) int {
	switch c {
	case codes.Aborted, codes.AlreadyExists:
		return http.StatusConflict
	case codes.FailedPrecondition:
		return http.StatusPreconditionFailed
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.OK, codes.Canceled, codes.Unknown, codes.InvalidArgument, codes.DeadlineExceeded, codes.NotFound, codes.PermissionDenied,
		codes.OutOfRange, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss, codes.Unauthenticated:
	}
	return 0
}
