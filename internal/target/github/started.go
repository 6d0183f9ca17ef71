package github

import (
	"encoding/json"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Private

// startedRun reads the answer to a dispatch.
func startedRun(body []byte) (pipeline.Run, error) {
	var started struct {
		ID      int64  `json:"workflow_run_id"`
		HTMLURL string `json:"html_url"`
	}
	if err := json.Unmarshal(body, &started); err != nil || started.ID <= 0 {
		return pipeline.Run{}, adg.Errorf(adg.Unavailable, "GitHub answers to the dispatch without the number of the run")
	}
	return pipeline.Run{ID: fmt.Sprint(started.ID), URL: started.HTMLURL}, nil
}
