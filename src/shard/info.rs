//! INFO.

use super::Shard;
use super::gather::ShardFigures;

impl Shard {
    /// This shard's part of INFO.
    pub(super) fn figures(&self) -> ShardFigures {
        ShardFigures {
            shard: self.id as u32,
            ..ShardFigures::default()
        }
    }
    /// INFO's text from all shards' figures.
    pub(super) fn info_text(&self, sections: &[String], figures: &[ShardFigures]) -> String {
        let _ = (sections, figures);
        String::new()
    }
    /// CONFIG RESETSTAT on this shard.
    pub(super) fn reset_stats(&mut self) {
        self.stats = super::stats::ShardStats::default();
    }
}
