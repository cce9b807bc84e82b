package schema

// Disabled says how a route refuses the requests that it would take.
type Disabled struct {
	Block
	Status     Value[int64]
	RetryAfter Value[int64] // seconds
}

func disabledBlock() blockDef {
	return blockDef{
		name: "disabled",
		doc: "Has a route refuse its requests, with the fault route_disabled: `disabled`, `disabled 410` or as a block. The route stays in the order of all routes, so that no other one takes its requests. " +
			"Requests in progress are finished. See [emergency.md](../emergency.md).",
		args: []string{"status"},
		keys: []Key{
			{
				Name: "status", Kind: Int, Min: 400, Max: 599, Default: "503", Doc: "status code of the answer",
				slot: value(func(b *Disabled) any { return &b.Status }),
			},
			{
				Name: "retry-after-secs", Aliases: []string{"retry-after"}, Kind: Int, Unit: "seconds", Max: 86400, Default: "30", Label: "time to come back",
				Doc: "when clients are told to come back; 0 tells nothing", slot: value(func(b *Disabled) any { return &b.RetryAfter }),
			},
		},
	}
}
