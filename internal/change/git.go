package change

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

// gitMaxOutput bounds an answer of git.
const gitMaxOutput = 64 << 20

// Private

// git is the repository.
type git struct{ gitread.Repository }

// blob is a file's content; nil text means that it is too large, or not in this clone, or nowhere.
type blob struct {
	text []byte
	size int64
}

// blobs reads objects by their names, each up to a size and all together within room; one that does
// not exist has no text. Names may be ids or <commit>:<path>.
func (g git) blobs(ctx context.Context, names []string, limit, room int64) (map[string]blob, error) {
	found := map[string]blob{}
	if len(names) == 0 {
		return found, nil
	}
	answer, err := g.Must(ctx, lines(names), "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
	if err != nil {
		return nil, err
	}
	var wanted, ids []string
	for i, line := range strings.Split(strings.TrimSuffix(string(answer), "\n"), "\n") {
		fields := strings.Fields(line)
		if i >= len(names) {
			break
		}
		if len(fields) != 3 || fields[1] != "blob" || !gitread.IsObjectID(fields[0]) {
			found[names[i]] = blob{}
			continue
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", gitread.ErrAnswer)
		}
		found[names[i]] = blob{size: size}
		if size <= limit && size+int64(len(line))+2 <= room {
			room -= size + int64(len(line)) + 2
			wanted, ids = append(wanted, names[i]), append(ids, fields[0])
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	rest, err := g.Must(ctx, lines(ids), "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	for _, name := range wanted {
		_, after, _ := bytes.Cut(rest, []byte("\n"))
		size := found[name].size
		if int64(len(after)) < size+1 {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", gitread.ErrAnswer)
		}
		found[name] = blob{text: after[:size:size], size: size}
		rest = after[size+1:]
	}
	return found, nil
}

func lines(words []string) []byte {
	if len(words) == 0 {
		return []byte{}
	}
	return []byte(strings.Join(words, "\n") + "\n")
}
