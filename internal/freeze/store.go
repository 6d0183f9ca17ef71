package freeze

import (
	"context"
	"encoding/json"

	"github.com/deployguardian/adg"
)

// Kind is that of the documents that hold windows, under their names.
const Kind = "freeze"

// Load reads all windows, by name, and the versions of their documents.
func Load(ctx context.Context, store adg.Documents) (windows []Window, versions []int64, err error) {
	for d, err := range adg.AllDocuments(ctx, store, adg.DocumentFilter{Kind: Kind, Limit: 1000}) {
		if err != nil {
			return nil, nil, err
		}
		var w Window
		if err := json.Unmarshal(d.Data, &w); err != nil {
			return nil, nil, adg.Errorf(adg.Internal, "freeze window %s in the store cannot be read: %w", d.Key, err)
		}
		windows, versions = append(windows, w), append(versions, d.Version)
	}
	return windows, versions, nil
}
