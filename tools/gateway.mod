// What the tests read of the Gateway API: the definition of its kinds. Nothing of it is built.
module github.com/deployguardian/adg/tools/gateway

go 1.26.0

require sigs.k8s.io/gateway-api v1.4.1
