"""All benchmarks: ``python -m benchmarks``. Ratios are against straightforward baselines in the same run."""

from benchmarks import bench_cache, bench_dk_clip, bench_emoco, bench_explain, bench_losses, bench_pictures

if __name__ == "__main__":
    print("Losses, n = 4096 (ratios: ours / baseline, below 1 is better)")
    bench_losses.main()
    print("\nContrast by emotion, at the size of the paper (ratios: ours / baseline, below 1 is better)")
    bench_emoco.main()
    print("\nA training step on clips (ratios: baseline / ours, above 1 is better)")
    bench_dk_clip.main()
    print("\nPictures")
    bench_pictures.main()
    print("\nDecoding and caching (ratios: ours / plain loop, above 1 is better)")
    bench_cache.main()
    print("\nExplanations (ratios: ours / baseline)")
    bench_explain.main()
