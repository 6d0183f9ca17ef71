// Package pattern finds what lines of logs have in common: it takes out of a line what changes from one to the next, and
// counts what is left by replica and moment.
//
// Lines are read as JSON or logfmt where they are either (their message, error and level count), else as text whose level
// is one of its first words. Lines that go on a line before, as those of a stack trace, belong to it.
//
// Two steps make a pattern. First the words of a line are masked, each by itself: numbers, times, addresses, paths,
// identifiers, what is quoted, and whatever looks like a secret. Then lines that have as many words, begin alike and
// share most of the others are one: what differs becomes <*>. That is the tree of Drain (He, Zhu, Zheng and Lyu, 2017),
// with a fixed depth and a bounded number of leaves. Lines are put into it in the order of their texts, so that neither
// the order in which a source gives them nor which version wrote them decides what a pattern is: that is what the test
// of the patterns relies on.
//
// It is pure, and everything in it is bounded.
package pattern
