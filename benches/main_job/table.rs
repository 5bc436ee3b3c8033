//! The one table that the bench prints: what, measured, peer, ratio, target, met or missed. It never fails a run.

/// What a measurement is held against.
#[derive(Clone, Copy)]
pub enum Target {
    /// The measured value must not be above this.
    AtMost(f64),
    /// The measured value must not be below this.
    AtLeast(f64),
    /// Measured divided by peer must not be above this.
    RatioAtMost(f64),
    /// Measured divided by peer must not be below this.
    RatioAtLeast(f64),
}

/// One line of the table.
pub struct Row {
    what: String,
    measured: Result<f64, String>,
    unit: &'static str,
    peer: Option<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
}

impl Row {
    /// A measurement in `unit`.
    pub fn new(what: impl Into<String>, measured: f64, unit: &'static str) -> Self {
        Self { what: what.into(), measured: Ok(measured), unit, peer: None, ratio: None, target: None }
    }

    /// Something that could not be measured, and why.
    pub fn absent(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), measured: Err(why.into()), unit: "", peer: None, ratio: None, target: None }
    }

    /// Measurements made in turn with those of the peer. The ratio is the middle one of the pairs', because the machine
    /// becomes faster and slower in the course of minutes.
    pub fn pairs(what: impl Into<String>, ours: &[f64], peers: &[f64], unit: &'static str) -> Self {
        let ratios = ours.iter().zip(peers).map(|(ours, peer)| ours / peer).collect();
        let row = Self::new(what, median(ours.to_vec()), unit).peer(median(peers.to_vec()));
        Self { ratio: Some(median(ratios)), ..row }
    }

    /// The same quantity of the peer, measured in the same run.
    pub fn peer(mut self, peer: f64) -> Self {
        self.peer = Some(peer);
        self.ratio = self.measured.as_ref().ok().map(|measured| measured / peer);
        self
    }

    /// What the issue asks for.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn cells(&self) -> [String; 6] {
        let measured = match &self.measured {
            Ok(value) => format!("{} {}", number(*value), self.unit),
            Err(why) => {
                return [self.what.clone(), why.clone(), String::new(), String::new(), String::new(), "-".to_owned()];
            }
        };
        let value = self.measured.as_ref().copied().unwrap_or_default();
        let target = match self.target {
            None => String::new(),
            Some(Target::AtMost(most)) => format!("<= {} {}", number(most), self.unit),
            Some(Target::AtLeast(least)) => format!(">= {} {}", number(least), self.unit),
            Some(Target::RatioAtMost(most)) => format!("ratio <= {most}"),
            Some(Target::RatioAtLeast(least)) => format!("ratio >= {least}"),
        };
        let met = match (self.target, self.ratio) {
            (Some(Target::AtMost(most)), _) => Some(value <= most),
            (Some(Target::AtLeast(least)), _) => Some(value >= least),
            (Some(Target::RatioAtMost(most)), Some(ratio)) => Some(ratio <= most),
            (Some(Target::RatioAtLeast(least)), Some(ratio)) => Some(ratio >= least),
            _ => None,
        };
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" }).to_owned();
        let peer = self.peer.map_or(String::new(), |peer| format!("{} {}", number(peer), self.unit));
        let ratio = self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        [self.what.clone(), measured, peer, ratio, target, verdict]
    }
}

/// Prints all rows as one table.
pub fn print(rows: &[Row]) {
    let head = ["what", "measured", "peer", "ratio", "target", ""].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let widths: Vec<_> =
        (0..6).map(|at| lines.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0)).collect();
    for (at, cells) in lines.iter().enumerate() {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("| {} |", padded.join(" | "));
        if at == 0 {
            println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
        }
    }
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
