// Package adgv1 is ADG's API: the messages and the services that everything else talks to a server by, generated from
// the definition beside it. Names and meanings are those of package adg.
//
// The definition is the only thing to edit. Adding is always possible; what was released is neither removed, renumbered
// nor given another type, and a test compares with the released definition. A new release of it is noted by
// "make release-api".
package adgv1

//go:generate go -C ../../../tools/api run .
