package schema

// Observability is what the proxy tells about itself.
type Observability struct {
	Block
	Metrics   Metrics
	Logging   Logging
	Incidents Incidents
}

// Incidents says how the records of incidents are kept.
type Incidents struct {
	Block
	Automatic Value[bool]
	Folder    Value[string]
	Keep      Value[int64]
}

// defaultMetricsAddress is where metrics are served when nobody says otherwise.
const defaultMetricsAddress = "127.0.0.1:9090"

// Metrics is the listener for scrapes.
type Metrics struct {
	Block
	Address Value[string] // "host:port"
	Path    Value[string]
}

// Logging says what is logged and where to.
type Logging struct {
	Block
	Level     Value[string] // "debug", "info", "warn" or "error"
	Format    Value[string] // "text" or "json"
	File      Value[string] // unset: journald or standard error
	AccessLog AccessLog
}

// AccessLog is one line for every request.
type AccessLog struct {
	Block
	Enabled Value[bool]
	File    Value[string] // unset: where events go
	Format  Value[string] // unset: the format of events
}

func observabilityBlocks() []blockDef {
	return []blockDef{{
		name: "observability", doc: "What the proxy tells about itself.",
		keys: []Key{
			{Name: "metrics", Kind: Opens, Opens: "metrics", Doc: "the listener for scrapes", slot: value(func(o *Observability) any { return &o.Metrics })},
			{Name: "logging", Kind: Opens, Opens: "logging", Doc: "events and requests", slot: value(func(o *Observability) any { return &o.Logging })},
			{Name: "incidents", Kind: Opens, Opens: "incidents", Doc: "records of incidents", slot: value(func(o *Observability) any { return &o.Incidents })},
		},
	}, {
		name: "metrics", doc: "A listener of its own that carries metrics only.",
		keys: []Key{
			{
				Name: "address", Kind: Address, Default: defaultMetricsAddress, check: checkListen, Doc: "address and port; port 0 takes a free one",
				slot: value(func(m *Metrics) any { return &m.Address }),
			},
			{
				Name: "path", Kind: Text, Default: "/metrics", check: checkPath, Doc: "path of the scrape",
				slot: value(func(m *Metrics) any { return &m.Path }),
			},
		},
	}, {
		name: "logging", doc: "Events go to journald or standard error unless a file is named.",
		keys: []Key{
			{
				Name: "level", Kind: Enum, Words: []string{"debug", "info", "warn", "error"}, Default: "info", Doc: "the lowest level written",
				slot: value(func(l *Logging) any { return &l.Level }),
			},
			{
				Name: "format", Kind: Enum, Words: []string{"text", "json"}, Default: "text", Doc: "form of a line",
				slot: value(func(l *Logging) any { return &l.Format }),
			},
			{
				Name: "file", Kind: Text, check: checkFile, Doc: "file for events, opened anew at SIGUSR1",
				slot: value(func(l *Logging) any { return &l.File }),
			},
			{
				Name: "access-log", Kind: Opens, Opens: "access-log", Doc: "one line for every request",
				slot: value(func(l *Logging) any { return &l.AccessLog }),
			},
		},
	}, {
		name: "access-log", doc: "One line for every request.",
		keys: []Key{
			{Name: "enabled", Kind: Bool, Default: "#true", Doc: "whether it is written", slot: value(func(a *AccessLog) any { return &a.Enabled })},
			{
				Name: "file", Kind: Text, check: checkFile, Doc: "its file, opened anew at SIGUSR1; without it, lines go where events go",
				slot: value(func(a *AccessLog) any { return &a.File }),
			},
			{
				Name: "format", Kind: Enum, Words: []string{"text", "json"}, Doc: "form of a line; without it, that of the events",
				slot: value(func(a *AccessLog) any { return &a.Format }),
			},
		},
	}, incidentsBlock()}
}

func incidentsBlock() blockDef {
	return blockDef{
		name: "incidents", doc: "Records of incidents: what was known at some moments of each, as `sentinel incident` keeps it. See [incidents.md](../incidents.md).",
		keys: []Key{
			{
				Name: "automatic", Kind: Bool, Default: "#true",
				Doc:  "begin one when more than a tenth of requests fail for half a minute, or no upstream has a usable target",
				slot: value(func(i *Incidents) any { return &i.Automatic }),
			},
			{
				Name: "folder", Kind: Text, Default: "/var/log/sentinel/incidents", check: checkFile, Doc: "folder with a folder for each",
				slot: value(func(i *Incidents) any { return &i.Folder }),
			},
			{
				Name: "keep", Kind: Int, Unit: "incidents", Min: 1, Max: 999, Default: "20",
				Doc:  "how many that began by themselves are kept once they have ended; those that somebody wrote a note for always are",
				slot: value(func(i *Incidents) any { return &i.Keep }),
			},
		},
	}
}
