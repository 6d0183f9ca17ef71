package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// Listing is a request for a page of a list.
type Listing interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// PageToken is the token of the page that follows a position, such as the key of the last row; an empty position has
// none: there are no more pages. It is good for the same request only, of which the size of the page may change.
func PageToken(request Listing, position string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(seal(request, position), position...))
}

// ReadPageToken is the position that the request's token stands for, empty for the first page. A token that was changed,
// that belongs to another list or filter, or that another version made is Invalid. It protects from mistakes: who makes
// up a position sees no more than what he may see anyway.
func ReadPageToken(request Listing) (position string, err error) {
	token := request.GetPageToken()
	if token == "" {
		return "", nil
	}
	refused := Wrong("page_token", "the page token does not belong to this request: leave it out to begin with the first page, and change nothing but the size of the page in between")
	if len(token) > maxToken {
		return "", refused
	}
	plain, err := strictBase64.DecodeString(token)
	if err != nil || len(plain) <= sealed || !utf8.Valid(plain[sealed:]) {
		return "", refused
	}
	position = string(plain[sealed:])
	if !slices.Equal(plain[:sealed], seal(request, position)) {
		return "", refused
	}
	return position, nil
}

// ReadPageSize is how many rows a page has: as many as asked for, at most most, and usual where nobody asked.
func ReadPageSize(request Listing, usual, most int) (int, error) {
	size := int(request.GetPageSize())
	if size < 0 {
		return 0, Wrong("page_size", "page_size is a number from 1 to %d, or 0 for %d", most, usual)
	}
	if size == 0 {
		return usual, nil
	}
	return min(size, most), nil
}

// Private

const (
	cursorVersion = "1" // of what a token holds; another one is refused
	sealed        = 12  // bytes of the seal before the position
	maxToken      = 4096
)

// seal binds a position to what was asked for.
func seal(request Listing, position string) []byte {
	asked := proto.Clone(request)
	fields := asked.ProtoReflect().Descriptor().Fields()
	for _, name := range []string{"page_size", "page_token"} {
		if f := fields.ByTextName(name); f != nil {
			asked.ProtoReflect().Clear(f)
		}
	}
	// The request came from the wire, so it has a wire form.
	filter, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(asked)
	if err != nil {
		filter = nil
	}
	sum := sha256.Sum256([]byte(digest(cursorVersion, string(asked.ProtoReflect().Descriptor().FullName()), string(filter), position)))
	return sum[:sealed]
}
