// Package adg is the vocabulary of the Automated Deployment Guardian and the seams that its parts meet at.
//
// The nouns are those of docs/design.md, one word each: a [Release] is made live by a [Deployment], guarded by a
// [Policy]; a [Source] answers a [Query] with a [Measurement]; the judge turns measurements into a [Verdict] per
// [Check] and those into the [Health] of the deployment; rollout.Step turns health into a [Decision]; a [Target]
// converges to what is [Desired]; a [Notifier] is told each [Fact]; a [Store] remembers all of it.
//
// The package imports the standard library only, does no I/O and reads no clock. Values are plain data: they may be
// copied, and nobody writes through a map or a slice that was lent to them. All times are UTC; all durations are
// positive unless a comment says otherwise; shares and weights of traffic are percent, 0 to 100.
package adg
