module sentinel

go 1.26.0
