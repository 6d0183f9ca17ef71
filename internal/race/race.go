// Package race tells tests whether the race detector watches them. Code without goroutines has no races, and takes ten
// times as long while it is watched: its tests draw fewer lives and traces then, and all of them without (make test).
package race
