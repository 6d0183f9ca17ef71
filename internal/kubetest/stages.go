package kubetest

import _ "embed"

// Image is what kwok knows: its pods with any tag become ready at once, but for the tags crash (killed for its
// memory, CrashLoopBackOff), pull (ImagePullBackOff) and never (runs and never becomes ready).
const Image = "registry.test/shop"

//go:embed stages.yaml
var stages string
