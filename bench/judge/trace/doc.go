// Package trace makes the traffic on which rules are compared: a canary beside its baseline, replica by replica and
// second by second, request by request. The same world, fault and seed give the same trace for ever, on machines of the
// same architecture: others may round a sum differently.
package trace
