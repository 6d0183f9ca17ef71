package api

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/predict/models"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// predictions answers PredictionService.
type predictions struct {
	adgv1.UnimplementedPredictionServiceServer
	*API
}

// Predict predicts a deployment that is not started.
func (s *predictions) Predict(ctx context.Context, r *adgv1.PredictRequest) (*adgv1.Prediction, error) {
	start, err := wire.ReadPredict(r)
	if err != nil {
		return nil, err
	}
	p, err := s.o.Control.Predict(ctx, caller(ctx), start, modelID(r.GetModel()))
	if err != nil {
		return nil, err
	}
	return wire.Prediction(p), nil
}

// ListPredictions gives a page of them with their outcomes.
func (s *predictions) ListPredictions(ctx context.Context, r *adgv1.ListPredictionsRequest) (*adgv1.ListPredictionsResponse, error) {
	key := func(j oracle.Judged) string { return newestFirst(j.At, j.Deployment) }
	if r.GetOrder() == adgv1.PredictionOrder_PREDICTION_ORDER_SURPRISE {
		key = func(j oracle.Judged) string { return mostWrongFirst(j) }
	}
	rows, err := newListing(r, key)
	if err != nil {
		return nil, err
	}
	for _, o := range r.GetOutcomes() {
		if _, _, err := wire.ReadOutcome(o); err != nil {
			return nil, err
		}
	}
	all, err := s.selected(ctx, r, r.GetFromTime(), r.GetToTime())
	if err != nil {
		return nil, err
	}
	rows.add(slices.DeleteFunc(all, func(j oracle.Judged) bool { return !among(r.GetOutcomes(), wire.Outcome(j)) })...)
	page, next := rows.page()
	answer := &adgv1.ListPredictionsResponse{NextPageToken: next}
	for _, j := range page {
		answer.Predictions = append(answer.Predictions, wire.JudgedPrediction(j))
	}
	return answer, nil
}

// GetPredictionFigures says how good they were.
func (s *predictions) GetPredictionFigures(ctx context.Context, r *adgv1.GetPredictionFiguresRequest) (*adgv1.PredictionFigures, error) {
	bucket, err := wire.ReadDuration("bucket", r.GetBucket())
	if err != nil {
		return nil, err
	}
	if bucket = orElse(bucket, 7*24*time.Hour); bucket < time.Minute {
		return nil, wire.Wrong("bucket", "a bucket is a minute at least")
	}
	steps := int(orElse(r.GetSteps(), 10))
	if steps < 1 || steps > 50 {
		return nil, wire.Wrong("steps", "steps is a number from 1 to 50, or 0 for 10")
	}
	all, err := s.selected(ctx, r, r.GetFromTime(), r.GetToTime())
	if err != nil {
		return nil, err
	}
	return wire.PredictionFigures(oracle.Grade(all, steps, bucket)), nil
}

// CorrectOutcome puts on record how a deployment really came out.
func (s *predictions) CorrectOutcome(ctx context.Context, r *adgv1.CorrectOutcomeRequest) (*adgv1.JudgedPrediction, error) {
	return once(ctx, s.API, r, func() (*adgv1.JudgedPrediction, error) {
		known, failed, err := wire.ReadOutcome(r.GetOutcome())
		if err != nil {
			return nil, err
		}
		after, err := wire.ReadEtag(r.GetEtag(), -1)
		if err != nil {
			return nil, err
		}
		j, err := s.o.Control.CorrectOutcome(ctx, because(ctx, r.GetReason()), r.GetDeployment(), known, failed, int(after))
		if err != nil {
			return nil, err
		}
		return wire.JudgedPrediction(j), nil
	})
}

// TrainModel trains a model on what is known, and tells how far it has come.
func (s *predictions) TrainModel(r *adgv1.TrainModelRequest, to grpc.ServerStreamingServer[adgv1.TrainModelResponse]) error {
	ctx, stop := context.WithCancel(to.Context())
	defer stop()
	var told time.Time
	var lost error
	all := 0
	model, err := once(ctx, s.API, r, func() (*adgv1.Model, error) {
		m, err := s.o.Control.TrainModel(ctx, because(ctx, r.GetReason()), uint64(orElse(r.GetSeed(), 1)), func(n, of int) { //nolint:gosec // any number will do as a seed
			all = of
			if time.Since(told) < time.Second { //nolint:forbidigo // how often a person is told is real time
				return
			}
			told = time.Now() //nolint:forbidigo // see above
			if lost = to.Send(&adgv1.TrainModelResponse{Done: whole(n), All: whole(of)}); lost != nil {
				stop() // nobody waits for the model any more
			}
		})
		if err != nil {
			return nil, err
		}
		return wire.Model(m), nil
	})
	switch {
	case lost != nil:
		return lost
	case err != nil:
		return err
	}
	return to.Send(&adgv1.TrainModelResponse{Done: whole(all), All: whole(all), Model: model})
}

// GetModel gives one model.
func (s *predictions) GetModel(ctx context.Context, r *adgv1.GetModelRequest) (*adgv1.Model, error) {
	m, err := s.o.Control.Model(ctx, caller(ctx), modelID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return wire.Model(m), nil
}

// ListModels gives a page of them, the newest first.
func (s *predictions) ListModels(ctx context.Context, r *adgv1.ListModelsRequest) (*adgv1.ListModelsResponse, error) {
	rows, err := newListing(r, func(m models.Item) string { return newestFirst(m.At, m.ID) })
	if err != nil {
		return nil, err
	}
	all, err := s.o.Control.Models(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	rows.add(all...)
	page, next := rows.page()
	answer := &adgv1.ListModelsResponse{NextPageToken: next}
	for _, m := range page {
		m.Learned = nil
		answer.Models = append(answer.Models, wire.Model(m))
	}
	return answer, nil
}

// PinModel makes all predictions come from one model.
func (s *predictions) PinModel(ctx context.Context, r *adgv1.PinModelRequest) (*adgv1.Model, error) {
	return once(ctx, s.API, r, func() (*adgv1.Model, error) {
		return modelOrNot(s.o.Control.PinModel(ctx, because(ctx, r.GetReason()), r.GetId(), seenAs(r.GetEtag())))
	})
}

// UnpinModel lets the newest good model take over again.
func (s *predictions) UnpinModel(ctx context.Context, r *adgv1.UnpinModelRequest) (*adgv1.Model, error) {
	return once(ctx, s.API, r, func() (*adgv1.Model, error) {
		return modelOrNot(s.o.Control.UnpinModel(ctx, because(ctx, r.GetReason()), r.GetId(), seenAs(r.GetEtag())))
	})
}

// Private

// activeModel names the model in use.
const activeModel = "active"

func modelID(id string) string {
	if id == activeModel {
		return ""
	}
	return id
}

func modelOrNot(m models.Item, err error) (*adgv1.Model, error) {
	if err != nil {
		return nil, err
	}
	return wire.Model(m), nil
}

// seenAs refuses a model that is not any more as the caller looked at it.
func seenAs(etag string) func(models.Item) error {
	return func(m models.Item) error {
		if etag != "" && etag != wire.ModelEtag(m) {
			return adg.Errorf(adg.Conflict, "the model %s is not any more as you looked at it: it is in use: %t, pinned: %t", m.ID, m.InUse, m.Pinned)
		}
		return nil
	}
}

// predicting is what requests for predictions have.
type predicting interface {
	GetServices() []string
	GetEnvironments() []string
	GetModel() string
}

func (s *predictions) selected(ctx context.Context, r predicting, from, to *timestamppb.Timestamp) ([]oracle.Judged, error) {
	since, err := wire.ReadTimestamp("from_time", from)
	if err != nil {
		return nil, err
	}
	until, err := wire.ReadTimestamp("to_time", to)
	if err != nil {
		return nil, err
	}
	f, err := wire.ReadPredictionFilter(r, since, until)
	if err != nil {
		return nil, err
	}
	return s.o.Control.Predictions(ctx, caller(ctx), f)
}

// mostWrongFirst is a key for predictions that are listed by their surprise; those whose outcome nobody knows come last.
func mostWrongFirst(j oracle.Judged) string {
	surprise := -1.0
	if s := j.Surprise(); s != nil {
		surprise = *s
	}
	// A log-loss is 35 at most.
	return fmt.Sprintf("%015.10f %s", 100-surprise, newestFirst(j.At, j.Deployment))
}

func whole(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
