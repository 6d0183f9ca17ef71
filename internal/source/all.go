// Package source lists every kind of source that there is.
package source

import (
	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/command"
	"github.com/deployguardian/adg/internal/source/embedded"
	"github.com/deployguardian/adg/internal/source/grpcprobe"
	"github.com/deployguardian/adg/internal/source/httpprobe"
	"github.com/deployguardian/adg/internal/source/kubernetes"
	"github.com/deployguardian/adg/internal/source/loki"
	"github.com/deployguardian/adg/internal/source/prometheus"
	"github.com/deployguardian/adg/internal/source/tcpprobe"
)

// All are the drivers, one line each.
var All = []adg.SourceDriver{
	command.Driver,
	embedded.Driver,
	grpcprobe.Driver,
	httpprobe.Driver,
	kubernetes.Driver,
	loki.Driver,
	prometheus.Driver,
	tcpprobe.Driver,
}
