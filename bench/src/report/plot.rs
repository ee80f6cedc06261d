//! Plots as SVG: lines over a logarithmic axis.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 6] = [
    "#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569",
];

/// A line with a name. All numbers are above zero.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws them; both axes are logarithmic.
pub(super) fn lines(title: &str, [across, up]: [&str; 2], series: &[Series]) -> String {
    let x = Axis::of(series.iter().flat_map(|one| one.points.iter().map(|p| p.0)));
    let y = Axis::of(series.iter().flat_map(|one| one.points.iter().map(|p| p.1)));
    let at_x = |value: f64| MARGIN + x.share(value) * (WIDTH - 2.0 * MARGIN);
    let at_y = |value: f64| HEIGHT - MARGIN - y.share(value) * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut text = |at: (f64, f64), anchor: &str, text: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{text}</text>",
            at.0, at.1
        );
    };
    text((WIDTH / 2.0, 24.0), "middle", title);
    text((WIDTH / 2.0, HEIGHT - 12.0), "middle", across);
    text((8.0, 44.0), "start", up);
    for mark in x.marks() {
        text((at_x(mark), HEIGHT - MARGIN + 18.0), "middle", &label(mark));
    }
    for mark in y.marks() {
        text((MARGIN - 6.0, at_y(mark) + 4.0), "end", &label(mark));
    }
    for (place, one) in series.iter().enumerate() {
        let row = 44.0 + 16.0 * place as f64;
        text((WIDTH - 8.0, row), "end", &one.name);
    }
    for (one, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<String> = one
            .points
            .iter()
            .map(|(across, up)| format!("{:.1},{:.1}", at_x(*across), at_y(*up)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"><title>{}</title></polyline>",
            points.join(" "),
            one.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// From a power of ten to another.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value);
            most = most.max(value);
        }
        let from = least.min(most).log10().floor();
        Self {
            from,
            to: most.log10().ceil().max(from + 1.0),
        }
    }

    fn share(&self, value: f64) -> f64 {
        ((value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

fn label(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_within_the_plot() {
        let series = [Series {
            name: "one".into(),
            points: vec![(1.0, 3.0), (1000.0, 40_000.0)],
        }];
        let svg = lines("title", ["recipients", "a second"], &series);
        let points = svg
            .split("points=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        for point in points.split(' ') {
            let (across, up) = point.split_once(',').unwrap();
            let (across, up): (f64, f64) = (across.parse().unwrap(), up.parse().unwrap());
            assert!((MARGIN..=WIDTH - MARGIN).contains(&across), "{point}");
            assert!((MARGIN..=HEIGHT - MARGIN).contains(&up), "{point}");
        }
    }
}
