package api

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/report"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// reports answers ReportService.
type reports struct {
	adgv1.UnimplementedReportServiceServer
	*API
}

// GetReport is the story of a deployment as a document.
func (s *reports) GetReport(ctx context.Context, r *adgv1.GetReportRequest) (*httpbody.HttpBody, error) {
	if _, known := adgv1.ReportFormat_name[int32(r.GetFormat())]; !known {
		return nil, wire.Wrong("format", "there is no such format of a report: Markdown, HTML, JSON and the post-mortem there are")
	}
	story, err := s.o.Control.Report(ctx, caller(ctx), r.GetDeployment(), r.GetFormat() == adgv1.ReportFormat_REPORT_FORMAT_POST_MORTEM)
	if err != nil {
		return nil, err
	}
	body := &httpbody.HttpBody{}
	switch r.GetFormat() {
	case adgv1.ReportFormat_REPORT_FORMAT_HTML:
		body.ContentType = "text/html; charset=utf-8"
		body.Data, err = report.HTML(story)
	case adgv1.ReportFormat_REPORT_FORMAT_JSON:
		body.ContentType = "application/json"
		body.Data, err = report.JSON(story)
	case adgv1.ReportFormat_REPORT_FORMAT_POST_MORTEM:
		body.ContentType, body.Data = "text/markdown; charset=utf-8", report.PostMortem(story)
	case adgv1.ReportFormat_REPORT_FORMAT_UNSPECIFIED, adgv1.ReportFormat_REPORT_FORMAT_MARKDOWN:
		body.ContentType, body.Data = "text/markdown; charset=utf-8", report.Markdown(story)
	}
	return body, err
}
