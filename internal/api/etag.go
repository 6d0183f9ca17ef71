package api

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/deployguardian/adg"
)

// Private

// metaMatch is what a REST request says in If-Match. The gateway beside us alone may set it.
const metaMatch = "adg-if-match"

// annotateMatch tells the server what a person looked at when he decided on a change.
func annotateMatch(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.MD{}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		md.Set(metaMatch, r.Header.Values("If-Match")...)
	}
	return md
}

// matched puts the etag of If-Match into the request, where it is the same as the field of that name. A condition that
// would go by unheard is Invalid.
func matched(ctx context.Context, request any) error {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(metaMatch)
	if len(values) == 0 || !inside(ctx) {
		return nil
	}
	etag, quoted := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(values[0]), "W/"), `"`)
	if quoted {
		etag, quoted = strings.CutSuffix(etag, `"`)
	}
	if len(values) > 1 || !quoted || etag == "" || strings.ContainsAny(etag, `",* `) {
		return adg.Errorf(adg.Invalid, `If-Match names one etag in quotes: If-Match: "…", as the answer had it in ETag`)
	}
	message, found := request.(proto.Message)
	if !found {
		return nil
	}
	field := etagOf(message)
	if field == nil {
		return adg.Advised(adg.Errorf(adg.Invalid, "this request has no etag"), "leave If-Match out")
	}
	if said := message.ProtoReflect().Get(field).String(); said != "" && said != etag {
		return adg.Advised(adg.Errorf(adg.Invalid, "If-Match and etag name different etags"), "send one of them")
	}
	message.ProtoReflect().Set(field, protoreflect.ValueOfString(etag))
	return nil
}

// setEtag says in the head of an answer which etag it has.
func setEtag(_ context.Context, w http.ResponseWriter, answer proto.Message) error {
	if answer == nil {
		return nil
	}
	if field := etagOf(answer); field != nil {
		if etag := answer.ProtoReflect().Get(field).String(); etag != "" {
			w.Header().Set("ETag", `"`+etag+`"`)
		}
	}
	return nil
}

func etagOf(m proto.Message) protoreflect.FieldDescriptor {
	field := m.ProtoReflect().Descriptor().Fields().ByName("etag")
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return nil
	}
	return field
}
