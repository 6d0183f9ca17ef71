package wire

import (
	"math"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/models"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// ReadPredict is the deployment that a caller wants predicted.
func ReadPredict(r *adgv1.PredictRequest) (control.Start, error) {
	return ReadStart(&adgv1.StartDeploymentRequest{Environment: r.GetEnvironment(), Release: r.GetRelease(), Features: r.GetFeatures()})
}

// JudgedPrediction is a prediction and its outcome.
func JudgedPrediction(j oracle.Judged) *adgv1.JudgedPrediction {
	return &adgv1.JudgedPrediction{
		Deployment: text(j.Deployment), Service: text(j.Service), Environment: text(j.Environment), Version: text(j.Version),
		Prediction: optional(j.Prediction, Prediction), Outcome: Outcome(j), Why: text(j.Why), CorrectedBy: text(j.CorrectedBy),
		OutcomeTime: Timestamp(j.KnownAt), Surprise: j.Surprise(), Etag: Etag(int64(j.Corrections)),
	}
}

// Outcome is how a deployment came out.
func Outcome(j oracle.Judged) adgv1.Outcome {
	switch {
	case !j.Known:
		return adgv1.Outcome_OUTCOME_UNKNOWN
	case j.Failed:
		return adgv1.Outcome_OUTCOME_FAILED
	}
	return adgv1.Outcome_OUTCOME_SUCCEEDED
}

// ReadOutcome is how a deployment came out, as a caller says.
func ReadOutcome(o adgv1.Outcome) (known, failed bool, err error) {
	switch o {
	case adgv1.Outcome_OUTCOME_UNKNOWN:
		return false, false, nil
	case adgv1.Outcome_OUTCOME_SUCCEEDED:
		return true, false, nil
	case adgv1.Outcome_OUTCOME_FAILED:
		return true, true, nil
	}
	return false, false, unknown(o)
}

// ReadPredictionFilter selects predictions as a caller wants.
func ReadPredictionFilter(r interface {
	GetServices() []string
	GetEnvironments() []string
	GetModel() string
}, from, to time.Time) (control.PredictionFilter, error) {
	f := control.PredictionFilter{Services: r.GetServices(), Environments: r.GetEnvironments(), Model: r.GetModel(), From: from, To: to}
	if len(f.Services) > maxNamed || len(f.Environments) > maxNamed {
		return f, adg.Advised(adg.Errorf(adg.Invalid, "services and environments name at most %d each", maxNamed), "leave them out for all")
	}
	return f, nil
}

// PredictionFigures says how good predictions were.
func PredictionFigures(f oracle.Figures) *adgv1.PredictionFigures {
	return &adgv1.PredictionFigures{
		Score: score(f.Rows, f.Score), Base: score(f.Rows, f.Base), Better: f.Better, Standing: text(f.Standing), Calibration: each(f.Plot, calibration),
		Course: each(f.Course, func(b oracle.FigureBucket) *adgv1.PredictionFiguresBucket {
			return &adgv1.PredictionFiguresBucket{FromTime: Timestamp(b.From), Score: score(b.Rows, b.Score), Base: score(b.Rows, b.Base)}
		}),
	}
}

// Model is a trained model, with what it learned.
func Model(m models.Item) *adgv1.Model {
	c := m.Card
	return &adgv1.Model{
		Id: text(m.ID), CreateTime: Timestamp(m.At), Author: text(m.Author), Reason: text(m.Reason), Outcomes: int64(c.Outcomes), Failed: int64(c.Failed),
		Features: texts(c.Features), Standing: text(c.Standing()), Better: c.Better, Gain: finite(c.Gain), Score: score(c.Judged, c.Score),
		Calibration: each(c.Plot, calibration), Learned: each(m.Learned, effect), Active: m.InUse, Pinned: m.Pinned, Etag: ModelEtag(m),
	}
}

// ModelEtag changes when a model is pinned, unpinned or superseded. It is compared and never read.
func ModelEtag(m models.Item) string {
	return digest(m.ID, strconv.FormatBool(m.InUse), strconv.FormatBool(m.Pinned))
}

// Private

func score(rows int, s predict.Score) *adgv1.ModelScore {
	return &adgv1.ModelScore{
		Rows: int64(rows), Auc: s.AUC, PrAuc: s.PRAUC, LogLoss: s.LogLoss, Brier: s.Brier, BrierSkill: s.BrierSkill, Ece: s.ECE,
		RecallAt5: s.RecallAt5, RecallAt10: s.RecallAt10, RecallAt20: s.RecallAt20,
	}
}

func calibration(s predict.Step) *adgv1.CalibrationStep {
	return &adgv1.CalibrationStep{From: s.From, To: s.To, Rows: int64(s.Rows), Predicted: s.Predicted, Observed: s.Observed}
}

func effect(e predict.Effect) *adgv1.FeatureEffect {
	return &adgv1.FeatureEffect{Feature: text(e.Feature), Importance: 100 * e.Importance, Direction: e.Direction, Text: text(e.Text)}
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
