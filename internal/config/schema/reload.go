package schema

import "time"

// What is made of a reload after which requests fare worse.
const (
	OnRegressionIgnore   = "ignore"
	OnRegressionReport   = "report"
	OnRegressionRollback = "rollback"
)

// Reload says what is made of a reload after which requests fare worse.
type Reload struct {
	Block
	OnRegression    Value[string] // one of the OnRegression constants
	Window          Value[time.Duration]
	MinRequests     Value[int64]
	ErrorIncrease   Value[int64] // percentage points
	LatencyIncrease Value[int64] // percent
}

func reloadBlock() blockDef {
	return blockDef{
		name: "reload",
		doc:  "What is made of a reload after which requests fare worse: each route, and all together, in the time before it and in that after it.",
		keys: []Key{
			{
				Name: "on-regression", Kind: Enum, Words: []string{OnRegressionRollback, OnRegressionReport, OnRegressionIgnore}, Default: OnRegressionIgnore,
				Doc:  "take the configuration back, tell it, or don't compare",
				slot: value(func(r *Reload) any { return &r.OnRegression }),
			},
			{
				Name: "window-secs", Kind: Seconds, Unit: "seconds", Min: 6, Max: 3600, Default: "60", Label: "time that is compared",
				Doc:  "how long before and after the reload is compared; a twelfth of it is a step, and two bad steps are the least",
				slot: value(func(r *Reload) any { return &r.Window }),
			},
			{
				Name: "min-requests", Kind: Int, Unit: "requests", Min: 10, Max: 1_000_000, Default: "100",
				Doc:  "a route with fewer requests before or after isn't compared",
				slot: value(func(r *Reload) any { return &r.MinRequests }),
			},
			{
				Name: "error-increase-percent", Kind: Int, Unit: "percentage points", Min: 1, Max: 100, Default: "2",
				Doc:  "so many more of a hundred requests must be answered 5xx, and half as many more as before, to matter",
				slot: value(func(r *Reload) any { return &r.ErrorIncrease }),
			},
			{
				Name: "latency-increase-percent", Kind: Int, Unit: "percent", Min: 10, Max: 10_000, Default: "100",
				Doc:  "by so much the median or the 90 % quantile must grow, and by 5 ms, to matter; 100 is twice as slow",
				slot: value(func(r *Reload) any { return &r.LatencyIncrease }),
			},
		},
	}
}
