package migration

import "strings"

// Private

// harmless are the words that may stand before a parenthesis and change nothing: functions that only compute, words of the
// language, and types.
var harmless = setOf(`
	now clock_timestamp statement_timestamp transaction_timestamp current_timestamp localtimestamp gen_random_uuid uuid_generate_v4
	nextval currval setval lower upper length char_length concat concat_ws md5 random to_char to_date to_number to_timestamp date_trunc
	date_part count sum min max avg json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb jsonb_set
	array_agg string_agg json_agg jsonb_agg generate_series unnest replace left right split_part regexp_replace round floor ceil abs
	row_number rank encode decode digest format btrim ltrim rtrim

	values in any all some exists and or not as over filter then else when on where from select by union except intersect array row cast
	coalesce nullif greatest least extract overlay position substring trim distinct having returning limit offset only lateral between
	join set using is like ilike default check unique key constraint exclude references generated always identity stored with
	include inherits partition range list hash of returns like conflict grouping sets cube rollup

	varchar char character varying bpchar numeric decimal timestamp timestamptz time timetz bit varbit float interval
`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}
