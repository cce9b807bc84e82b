//go:build race

package balance

const raceOn = true // pools drop what they hold at random
