package wire

import (
	"time"

	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Service is something that is deployed, as it is at that time.
func Service(s control.Service, now time.Time) *adgv1.Service {
	return &adgv1.Service{
		Name: text(s.Name), Team: text(s.About.Team), Description: text(s.About.Description), Repository: text(s.About.Repository),
		Environments: each(s.Environments, func(e control.ServiceEnvironment) *adgv1.ServiceEnvironment { return serviceIn(e, s.About.Team, now) }),
		Etag:         Etag(s.Version),
	}
}

// Environment is where services are deployed, as it is at that time.
func Environment(e control.Environment, now time.Time) *adgv1.Environment {
	return &adgv1.Environment{
		Name: text(e.Name), Services: count(e.Services), Live: count(e.Live), Unhealthy: count(e.Unhealthy),
		Stop: optional(e.Stop, Stop), Freeze: frozen(e.Freeze, now),
	}
}

// ServiceBaseline is what a check said before the newest deployment.
func ServiceBaseline(b control.ServiceBaseline) *adgv1.ServiceBaseline {
	return &adgv1.ServiceBaseline{Environment: text(b.Environment), Deployment: text(b.Deployment), Baseline: Baseline(b.Baseline), Unit: text(b.Unit)}
}

// ReadUpdate is what a caller wants said about a service: what he does not name stays.
func ReadUpdate(r *adgv1.UpdateServiceRequest) func(control.ServiceAbout) control.ServiceAbout {
	return func(a control.ServiceAbout) control.ServiceAbout {
		for field, said := range map[*string]*string{&a.Team: r.Team, &a.Description: r.Description, &a.Repository: r.Repository} {
			if said != nil {
				*field = *said
			}
		}
		return a
	}
}

// ReadFigureRange is what figures are asked for.
func ReadFigureRange(r *adgv1.GetServiceFiguresRequest) (control.FigureRange, error) {
	read := control.FigureRange{Service: r.GetService(), Environment: r.GetEnvironment()}
	var err error
	if read.From, err = ReadTimestamp("from_time", r.GetFromTime()); err != nil {
		return read, err
	}
	if read.To, err = ReadTimestamp("to_time", r.GetToTime()); err != nil {
		return read, err
	}
	read.Bucket, err = ReadDuration("bucket", r.GetBucket())
	return read, err
}

// ServiceFigures is how a service has been going.
func ServiceFigures(f control.Figures) *adgv1.ServiceFigures {
	return &adgv1.ServiceFigures{
		FromTime: Timestamp(f.From), ToTime: Timestamp(f.To), Total: figureSet(f.Total),
		Course: each(f.Course, func(b control.FigureBucket) *adgv1.FigureBucket {
			return &adgv1.FigureBucket{FromTime: Timestamp(b.From), Figures: figureSet(b.Figures)}
		}),
		Definitions: each(control.FigureDefinitions(), func(d [2]string) *adgv1.FigureDefinition {
			return &adgv1.FigureDefinition{Figure: d[0], Text: d[1]}
		}),
	}
}

// Private

func serviceIn(e control.ServiceEnvironment, team string, now time.Time) *adgv1.ServiceEnvironment {
	made := &adgv1.ServiceEnvironment{
		Environment: text(e.Environment), Live: optional(e.Live, Release), LastGood: optional(e.LastGood, Release),
		Latest: optional(e.Latest, Summary), PolicyVersion: e.Policy, Holds: count(e.Holds), Stop: optional(e.Stop, Stop), Freeze: frozen(e.Freeze, now),
	}
	if e.Policy != 0 {
		made.Trust = trusts.to(e.Trust)
	}
	if made.Latest != nil {
		made.Latest.Team = text(team)
	}
	return made
}

func figureSet(s control.FigureSet) *adgv1.FigureSet {
	return &adgv1.FigureSet{
		Deployments: count(s.Deployments), Succeeded: count(s.Succeeded), RolledBack: count(s.RolledBack), Blocked: count(s.Blocked),
		Cancelled: count(s.Cancelled), SuccessRate: s.SuccessRate, PerDay: s.PerDay, ChangeFailureRate: s.ChangeFailureRate,
		DetectMedian: optional(s.Detect, Duration), RestoreMedian: optional(s.Restore, Duration), LeadMedian: optional(s.Lead, Duration),
	}
}

func frozen(f *control.Freeze, now time.Time) *adgv1.FreezeWindow {
	if f == nil {
		return nil
	}
	return Freeze(f.Window, f.Version, now)
}
