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
	f := adg.DocumentFilter{Kind: Kind, Limit: 1000}
	for {
		page, err := store.ListDocuments(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range page {
			var w Window
			if err := json.Unmarshal(d.Data, &w); err != nil {
				return nil, nil, adg.Errorf(adg.Internal, "freeze window %s in the store cannot be read: %w", d.Key, err)
			}
			windows, versions = append(windows, w), append(versions, d.Version)
		}
		if len(page) < f.Limit {
			return windows, versions, nil
		}
		f.After = page[len(page)-1].Key
	}
}
