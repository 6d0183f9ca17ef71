package embedded

import "time"

// A busy machine takes longer than a query may.
func init() { queryTimeout = 5 * time.Minute }
