// Package notify lists the notifiers that there are.
package notify

import (
	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/notify/kafka"
	"github.com/deployguardian/adg/internal/notify/log"
	"github.com/deployguardian/adg/internal/notify/nats"
	"github.com/deployguardian/adg/internal/notify/rabbitmq"
	"github.com/deployguardian/adg/internal/notify/slack"
	"github.com/deployguardian/adg/internal/notify/webhook"
)

// All are the notifiers that a policy may name.
var All = []adg.NotifierDriver{
	kafka.Driver,
	log.Driver,
	nats.Driver,
	rabbitmq.Driver,
	slack.Driver,
	webhook.Driver,
}
