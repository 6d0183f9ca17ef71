package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// keyField is what makes a request one that can be sent again.
const keyField protoreflect.Name = "idempotency_key"

// caller is around every call.
type caller struct {
	server  string
	timeout time.Duration
	trust   *trust // nil: the way is plain
}

// unary gives a call its deadline and its idempotency key, and explains its error.
func (c caller) unary(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, set := ctx.Deadline(); !set {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		ctx = limited
	}
	if message, ok := in.(proto.Message); ok {
		in = keyed(message)
	}
	return c.explained(ctx, invoke(ctx, method, in, out, conn, options...))
}

// stream explains the errors of a stream.
func (c caller) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, c.explained(ctx, err)
	}
	return explainedStream{s, c, ctx}, nil
}

// explainedStream is a stream whose errors say what to do.
type explainedStream struct {
	grpc.ClientStream
	c   caller
	ctx context.Context // the caller's; the stream's own ends with the stream
}

// RecvMsg reads the next message.
func (s explainedStream) RecvMsg(m any) error {
	return s.c.explained(s.ctx, s.ClientStream.RecvMsg(m))
}

// keyed is the request with an idempotency key, where it can have one and has none.
func keyed(in proto.Message) proto.Message {
	field := in.ProtoReflect().Descriptor().Fields().ByName(keyField)
	if field == nil || in.ProtoReflect().Get(field).String() != "" {
		return in
	}
	in = proto.Clone(in)
	in.ProtoReflect().Set(field, protoreflect.ValueOfString(rand.Text()))
	return in
}

// retries is the service config that tries again what may be done twice, while the server is away for a moment: what
// has no effect, and what carries an idempotency key, which every request that can have one does.
func retries() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	protoregistry.GlobalFiles.RangeFilesByPackage(adgv1.File_adg_v1_error_proto.Package(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				if method := service.Methods().Get(j); repeatable(method) {
					names = append(names, name{string(service.FullName()), string(method.Name())})
				}
			}
		}
		return true
	})
	config, err := json.Marshal(map[string]any{"methodConfig": []any{map[string]any{
		"name": names,
		"retryPolicy": map[string]any{
			"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "3s", "backoffMultiplier": 2, "retryableStatusCodes": []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil { // names and numbers can always be written
		panic(err)
	}
	return string(config)
}

// repeatable tells whether a call may be made twice.
func repeatable(method protoreflect.MethodDescriptor) bool {
	if method.IsStreamingServer() {
		return false // who follows opens it again by himself, from where he was
	}
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS || method.Input().Fields().ByName(keyField) != nil
}
