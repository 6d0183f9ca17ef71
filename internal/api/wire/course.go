package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// ReadMeasurements is the page of measurements that a caller wants.
func ReadMeasurements(r *adgv1.ListMeasurementsRequest) (control.Course, error) {
	c, err := readCourse(r)
	if err == nil {
		c.Arm, err = ReadArm(r.GetArm())
	}
	return c, err
}

// ReadAssessments is the page of assessments that a caller wants.
func ReadAssessments(r *adgv1.ListAssessmentsRequest) (control.Course, error) { return readCourse(r) }

// Private

// course is what the requests for something over time have in common.
type course interface {
	Listing
	GetCheck() string
	GetFromTime() *timestamppb.Timestamp
	GetToTime() *timestamppb.Timestamp
	GetMaxPoints() int32
}

func readCourse(r course) (c control.Course, err error) {
	c = control.Course{Check: r.GetCheck(), Points: int(r.GetMaxPoints())}
	if c.Points < 0 {
		return c, Wrong("max_points", "max_points is a number from 1, or 0 for all")
	}
	if c.From, err = ReadTimestamp("from_time", r.GetFromTime()); err != nil {
		return c, err
	}
	if c.To, err = ReadTimestamp("to_time", r.GetToTime()); err != nil {
		return c, err
	}
	if !c.To.IsZero() && !c.From.Before(c.To) {
		return c, Wrong("from_time", "from_time has to be before to_time")
	}
	if c.Limit, err = ReadPageSize(r, 1000, 10_000); err != nil {
		return c, err
	}
	c.After, err = ReadPageToken(r)
	return c, err
}
