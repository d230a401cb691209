(* TrieStructure: split and try_merge (trie_structure.cpp) leave a trie, change neither what is cached nor which page
   holds it, and lose no page. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes.
Import ListNotations.

Lemma nth_error_firstn {A} m i (l : list A) : i < m -> nth_error (firstn m l) i = nth_error l i.
Proof. revert i l. induction m; intros i l L; [lia|]. destruct l; [destruct i; auto|]. destruct i; cbn; auto. apply IHm. lia. Qed.
Lemma nth_error_skipn {A} m i (l : list A) : nth_error (skipn m l) i = nth_error l (m + i).
Proof. revert l. induction m; cbn; auto. destruct l; auto. destruct i; auto. Qed.

Section Structure.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* ---- pages and positions *)
Lemma div_le a b : a <= b -> a / P <= b / P.
Proof. intros. apply Nat.div_le_mono; lia. Qed.
Lemma div_lt_aligned a k : k mod P = 0 -> a < k -> a / P < k / P.
Proof. intros M L. apply Nat.div_lt_upper_bound; [lia|]. pose proof (Nat.div_mod k P). lia. Qed.
Lemma floor_div a : floor P a / P = a / P.
Proof. unfold floor. apply Nat.div_mul. lia. Qed.
Lemma floor_mod a : floor P a mod P = 0.
Proof. unfold floor. apply Nat.mod_mul. lia. Qed.
Lemma floor_le a : floor P a <= a.
Proof. unfold floor. pose proof (Nat.mul_div_le a P). lia. Qed.
Lemma floor_aligned a : a mod P = 0 -> floor P a = a.
Proof. unfold floor. intros. pose proof (Nat.div_mod a P). lia. Qed.
Lemma floor_lt a : a mod P <> 0 -> floor P a < a.
Proof. unfold floor. intros. pose proof (Nat.div_mod a P). lia. Qed.
Lemma aligned_le_floor k a : k mod P = 0 -> k <= a -> k <= floor P a.
Proof. intros M L. rewrite <- (floor_aligned k M). unfold floor. apply Nat.mul_le_mono_r, div_le, L. Qed.

(* ---- the map: which page ends at the last token of k *)
Definition page_on (n : node) (k : path) : option page :=
  if length k mod P =? 0 then nth_error (pages n) (length k / P - start n / P - 1) else None.
Definition full_entry (ns : list node) (k : path) (p : page) : Prop :=
  exists n, In n ns /\ on_edge n k /\ page_on n k = Some p.
Definition pages_count (p : page) (ns : list node) : nat := sum (fun n => count p (pages_of n)) ns.

Record same_map (ns ns' : list node) : Prop := {
  same_edges : forall q, edge_of ns' q <-> edge_of ns q;
  same_entries : forall k p, full_entry ns' k p <-> full_entry ns k p;
  same_pages : forall p, pages_count p ns' = pages_count p ns
}.
Lemma same_map_refl ns : same_map ns ns.
Proof. constructor; intros; tauto. Qed.
Lemma same_map_trans a b c : same_map a b -> same_map b c -> same_map a c.
Proof.
  intros [E1 F1 G1] [E2 F2 G2]. constructor; intros.
  - rewrite E2. apply E1.
  - rewrite F2. apply F1.
  - rewrite G2. apply G1.
Qed.

(* The nodes `old` cover the same edges with the same pages as the nodes `new`. *)
Lemma recut_same_map ns old new f :
  incl old ns -> (forall x, In x ns -> (f x = true <-> ~ In x old)) ->
  (forall x, In x ns -> In x old \/ ~ In x old) ->
  (forall q, edge_of new q <-> edge_of old q) ->
  (forall k p, full_entry new k p <-> full_entry old k p) ->
  (forall p, pages_count p (new ++ filter f ns) = pages_count p ns) ->
  same_map ns (new ++ filter f ns).
Proof.
  intros Inc Hf Dec E F G. constructor; auto.
  - intros q. rewrite edge_of_app, E. split.
    + intros [H|(n & Hn & En)]; [eapply edge_of_old; eauto|]. apply filter_In in Hn. exists n. tauto.
    + intros (n & Hn & En). destruct (Dec n Hn) as [I|N]; [left; exists n; auto|].
      right. exists n. split; auto. apply filter_In. split; auto. apply Hf; auto.
  - intros k p. split.
    + intros (n & Hn & En). apply in_app_iff in Hn. destruct Hn as [Hn|Hn].
      * assert (H : full_entry old k p) by (apply F; exists n; auto). destruct H as (m & Hm & Em). exists m. auto.
      * apply filter_In in Hn. exists n. tauto.
    + intros (n & Hn & En). destruct (Dec n Hn) as [I|N].
      * assert (H : full_entry new k p) by (apply F; exists n; auto). destruct H as (m & Hm & Em). exists m.
        rewrite in_app_iff. auto.
      * exists n. split; auto. apply in_app_iff. right. apply filter_In. split; auto. apply Hf; auto.
Qed.

Lemma in_one ns n : well_formed P ns -> In n ns ->
  forall x, In x ns -> (negb (same_path (n_path x) (n_path n)) = true <-> ~ In x [n]).
Proof.
  intros W Hn x Hx. rewrite negb_true_iff, same_path_false. cbn. split; intros H; [|intros E; apply H; left].
  - intros [->|[]]. auto.
  - symmetry. eapply same_node; eauto.
Qed.
Lemma in_or_not ns n x : well_formed P ns -> In n ns -> In x ns -> In x [n] \/ ~ In x [n].
Proof.
  intros W Hn Hx. destruct (same_path (n_path x) (n_path n)) eqn:E.
  - apply same_path_spec in E. left. left. symmetry. eapply same_node; eauto.
  - right. intros [->|[]]. apply same_path_false in E. auto.
Qed.

(* ---- split *)
Theorem split_ok n at_ ns : well_formed P ns -> In n ns -> start n < at_ < stop n ->
  well_formed P (split P n at_ ns) /\ same_map ns (split P n at_ ns).
Proof.
  intros W Hn (L1 & L2). pose proof (wf_shape P ns W n Hn) as (S1 & S2 & S3).
  assert (D1 : start n / P <= at_ / P) by (apply div_le; lia).
  assert (D2 : at_ / P <= stop n / P) by (apply div_le; lia).
  assert (Lf : length (firstn at_ (n_path n)) = at_) by (rewrite firstn_length; unfold stop in *; lia).
  set (up := upper P n at_). set (low := lower P n at_).
  assert (Eup : forall q, on_edge up q <-> on_edge n q /\ length q <= at_).
  { intros q. unfold on_edge, up; cbn. split.
    - intros (Hq & L). pose proof (prefix_length _ _ Hq). rewrite Lf in *. repeat split; auto.
      eapply prefix_trans; eauto. apply prefix_firstn.
    - intros ((Hq & L) & L'). split; auto. apply prefix_of_firstn; auto. }
  assert (Elow : forall q, on_edge low q <-> on_edge n q /\ at_ < length q).
  { intros q. unfold on_edge, low; cbn. intuition lia. }
  assert (Edges : forall q, edge_of [up; low] q <-> edge_of [n] q).
  { intros q. unfold edge_of. cbn. split.
    - intros (x & [<-|[<-|[]]] & E); [apply Eup in E|apply Elow in E]; exists n; tauto.
    - intros (x & [<-|[]] & E). destruct (Nat.le_gt_cases (length q) at_);
        [exists up; rewrite Eup|exists low; rewrite Elow]; auto. }
  assert (Eq : split P n at_ ns = [up; low] ++ without (n_path n) ns) by reflexivity.
  rewrite Eq. unfold without.
  assert (Hup : shape_ok P up).
  { unfold shape_ok, stop, up; cbn. rewrite Lf. repeat split; try lia; [|congruence].
    rewrite firstn_length. lia. }
  assert (Hlow : shape_ok P low).
  { unfold shape_ok, stop, low; cbn. unfold stop in *. repeat split; auto. rewrite skipn_length. lia. }
  split.
  - apply (replace_well_formed P ns [n]); auto.
    + intros x [<-|[]]; auto.
    + apply in_one; auto.
    + intros q E. left. apply Edges; auto.
    + intros x y q [<-|[<-|[]]] [<-|[<-|[]]]; rewrite ?Eup, ?Elow; auto; lia.
    + cbn. constructor; [|repeat constructor; auto]. intros [E|[]]. apply (f_equal (@length _)) in E.
      rewrite Lf in E. unfold stop in L2. lia.
    + intros x [<-|[<-|[]]]; auto.
    + intros x [<-|[<-|[]]].
      * cbn. destruct (wf_parent P ns W n Hn) as [Z|I]; auto. right. unfold parent; cbn.
        rewrite firstn_firstn. replace (Nat.min (start n) at_) with (start n) by lia. fold (parent n).
        apply in_paths in I. destruct I as (m & Hm & Em). right. right. apply in_paths. exists m. split; auto.
        apply filter_In. split; auto. apply (in_one ns n W Hn m Hm). intros [->|[]].
        apply (f_equal (@length _)) in Em. rewrite (parent_length P) in Em; [|repeat split; auto]. unfold stop in *. lia.
      * right. left. reflexivity.
    + intros x Hx _. destruct (wf_parent P ns W x Hx) as [Z|I]; auto. right. apply in_paths in I.
      destruct I as (m & Hm & Em). destruct (in_or_not ns n m W Hn Hm) as [[<-|[]]|N].
      * right. left. auto.
      * cbn. right. right. apply in_paths. exists m. split; auto. apply filter_In. split; auto. apply (in_one ns n W Hn m Hm). exact N.
  - apply (recut_same_map ns [n]); auto.
    + intros x [<-|[]]; auto.
    + apply in_one; auto.
    + intros x Hx. apply (in_or_not ns); auto.
    + intros k p. unfold full_entry. cbn.
      assert (Pup : on_edge n k -> length k <= at_ -> page_on up k = page_on n k).
      { intros (_ & L) L'. unfold page_on, up; cbn. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto.
        apply nth_error_firstn. pose proof (div_lt_aligned (start n) (length k) M L).
        pose proof (div_le (length k) at_ L'). lia. }
      assert (Plow : on_edge n k -> at_ < length k -> page_on low k = page_on n k).
      { intros (_ & L) L'. unfold page_on, low; cbn. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto.
        rewrite nth_error_skipn. f_equal. pose proof (div_lt_aligned at_ (length k) M L'). lia. }
      split.
      * intros (x & [<-|[<-|[]]] & E & Ep); [apply Eup in E|apply Elow in E]; destruct E as (E & L); exists n;
          [rewrite Pup in Ep by auto|rewrite Plow in Ep by auto]; auto.
      * intros (x & [<-|[]] & E & Ep). destruct (Nat.le_gt_cases (length k) at_);
          [exists up; rewrite Eup, Pup|exists low; rewrite Elow, Plow]; auto.
    + intros p. unfold pages_count. rewrite (sum_without _ ns n (wf_nodup P ns W) Hn), sum_app. cbn.
      unfold pages_of; cbn. rewrite !count_app. unfold tail_pages; cbn.
      rewrite <- (count_split p (at_ / P - start n / P) (pages n)). unfold without. lia.
Qed.

(* ---- try_merge *)
Lemma filter_twice (f g : node -> bool) l : filter f (filter g l) = filter (fun x => g x && f x) l.
Proof. induction l as [|x l IH]; cbn; auto. destruct (g x); cbn; [destruct (f x)|]; rewrite <- ?IH; auto. Qed.

Definition same_meta (x y : node) : Prop :=
  tail x = tail y /\ holds x = holds y /\ pinned x = pinned y /\ last_use x = last_use y /\ in_order x = in_order y.

Section Two.
Variable ns : list node.
Variables high low : node.
Hypothesis W : well_formed P ns.
Hypothesis Hh : In high ns.
Hypothesis Hl : In low ns.
Hypothesis Sl : start low = stop high.
Hypothesis Pl : prefix (n_path high) (n_path low).
Hypothesis Only : forall x, In x ns -> start x = stop high -> prefix (n_path high) (n_path x) -> x = low.
Hypothesis No_tail : tail high = None.

Let f := fun x => negb (same_path (n_path x) (n_path low)) && negb (same_path (n_path x) (n_path high)).

Lemma two_f x : In x ns -> (f x = true <-> ~ In x [high; low]).
Proof.
  intros Hx. unfold f. rewrite andb_true_iff, !negb_true_iff, !same_path_false. cbn. split.
  - intros (N1 & N2) [->|[->|[]]]; auto.
  - intros N. split; intros E; apply N; [right; left|left]; symmetry; eapply same_node; eauto.
Qed.
Lemma two_dec x : In x ns -> In x [high; low] \/ ~ In x [high; low].
Proof. intros Hx. destruct (f x) eqn:E; [right; apply two_f; auto|]. left.
  unfold f in E. apply andb_false_iff in E. rewrite !negb_false_iff, !same_path_spec in E.
  destruct E as [E|E]; [right; left|left]; symmetry; eapply same_node; eauto. Qed.
Lemma two_incl : incl [high; low] ns.
Proof. intros x [<-|[<-|[]]]; auto. Qed.
Lemma two_differ : n_path high <> n_path low.
Proof.
  intros E. pose proof (wf_shape P ns W low Hl) as (S & _). unfold stop in *. rewrite E in Sl. lia.
Qed.

Lemma parent_of_high : start high = 0 \/ exists m, In m ns /\ n_path m = parent high /\ ~ In m [high; low].
Proof.
  destruct (wf_parent P ns W high Hh) as [Z|I]; auto. right. apply in_paths in I. destruct I as (m & Hm & Em).
  exists m. repeat split; auto. pose proof (wf_shape P ns W high Hh) as Sh. pose proof (wf_shape P ns W low Hl) as SL.
  apply (f_equal (@length _)) in Em. rewrite (parent_length P) in Em by auto. destruct Sh as (Sh & _), SL as (SL & _).
  intros [<-|[<-|[]]]; unfold stop in *; lia.
Qed.
(* A node outside keeps its parent if the lower path stays. *)
Lemma parent_of_rest x new : In x ns -> ~ In x [high; low] -> In (n_path low) (paths new) ->
  start x = 0 \/ In (parent x) (paths (new ++ filter f ns)).
Proof.
  intros Hx Nx Il. destruct (wf_parent P ns W x Hx) as [Z|I]; auto. right. apply in_paths in I.
  destruct I as (m & Hm & Em). rewrite paths_app, in_app_iff. destruct (two_dec m Hm) as [[<-|[<-|[]]]|N].
  - exfalso. apply Nx. right. left. symmetry. apply Only; auto.
    + unfold stop. rewrite Em. symmetry. apply (parent_length P). apply (wf_shape P ns W x Hx).
    + rewrite Em. apply prefix_firstn.
  - left. rewrite <- Em. exact Il.
  - right. apply in_paths. exists m. split; auto. apply filter_In. split; auto. apply two_f; auto.
Qed.
Lemma parent_of_new x new : start x = start high -> prefix (parent high) (n_path x) ->
  start x = 0 \/ In (parent x) (paths (new ++ filter f ns)).
Proof.
  intros E Px. destruct parent_of_high as [Z|(m & Hm & Em & N)]; [left; lia|right].
  assert (parent x = parent high) as ->.
  { unfold parent at 1. rewrite E. rewrite <- (parent_length P high) by apply (wf_shape P ns W high Hh).
    symmetry. apply prefix_is_firstn. auto. }
  rewrite paths_app, in_app_iff. right. apply in_paths. exists m. split; auto. apply filter_In. split; auto.
  apply two_f; auto.
Qed.
Lemma parent_high_prefix : prefix (parent high) (n_path low).
Proof. eapply prefix_trans; [apply prefix_firstn|exact Pl]. Qed.
Lemma two_count p new : pages_count p new = count p (pages_of high) + count p (pages_of low) ->
  pages_count p (new ++ filter f ns) = pages_count p ns.
Proof.
  intros E. unfold pages_count in *. rewrite sum_app, E.
  rewrite (sum_without _ ns low (wf_nodup P ns W) Hl).
  assert (Hh' : In high (without (n_path low) ns)) by (apply in_without; split; auto; apply two_differ).
  rewrite (sum_without _ (without (n_path low) ns) high); auto.
  - unfold without. rewrite filter_twice. fold f. lia.
  - apply nodup_filter, (wf_nodup P ns W).
Qed.

Definition merged_node := set_edge (n_path low) (start high) (pages high ++ pages low) low.
Lemma merge_ok : well_formed P ([merged_node] ++ filter f ns) /\ same_map ns ([merged_node] ++ filter f ns).
Proof.
  pose proof (wf_shape P ns W high Hh) as (S1 & S2 & S3). pose proof (wf_shape P ns W low Hl) as (T1 & T2 & T3).
  assert (D1 : start high / P <= stop high / P) by (apply div_le; lia).
  assert (D2 : stop high / P <= stop low / P) by (apply div_le; lia).
  assert (Hedge : forall q, on_edge merged_node q <-> on_edge high q \/ on_edge low q).
  { intros q. unfold on_edge, merged_node; cbn. split.
    - intros (Hq & L). destruct (Nat.le_gt_cases (length q) (stop high)) as [L'|L']; [left|right; split; auto; lia].
      split; auto. eapply prefix_both; eauto.
    - intros [(Hq & L)|(Hq & L)]; split; auto; try lia. eapply prefix_trans; eauto. }
  assert (Edges : forall q, edge_of [merged_node] q <-> edge_of [high; low] q).
  { intros q. unfold edge_of. cbn. split.
    - intros (x & [<-|[]] & E). apply Hedge in E. destruct E; [exists high|exists low]; auto.
    - intros (x & [<-|[<-|[]]] & E); exists merged_node; rewrite Hedge; auto. }
  assert (Hm : shape_ok P merged_node).
  { unfold shape_ok, merged_node, stop in *; cbn. rewrite Sl in T2. repeat split; auto; [lia|]. rewrite app_length. lia. }
  split.
  - apply (replace_well_formed P ns [high; low]); auto using two_incl, two_f.
    + intros q E. left. apply Edges; auto.
    + intros x y q [<-|[]] [<-|[]]; auto.
    + repeat constructor. auto.
    + intros x [<-|[]]; auto.
    + intros x [<-|[]]. apply parent_of_new; [reflexivity|apply parent_high_prefix].
    + intros x Hx N. apply parent_of_rest; auto. left. reflexivity.
  - apply (recut_same_map ns [high; low]); auto using two_incl, two_f, two_dec.
    + intros k p. unfold full_entry. cbn.
      assert (Ph : on_edge high k -> page_on merged_node k = page_on high k).
      { intros (Hk & L). unfold page_on, merged_node; cbn. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto.
        apply nth_error_app1. apply prefix_length in Hk. fold (stop high) in Hk.
        pose proof (div_lt_aligned (start high) (length k) M L). pose proof (div_le (length k) (stop high) Hk). lia. }
      assert (Pw : on_edge low k -> page_on merged_node k = page_on low k).
      { intros (Hk & L). unfold page_on, merged_node; cbn. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto.
        rewrite Sl in L. pose proof (div_lt_aligned (stop high) (length k) M L).
        rewrite nth_error_app2 by lia. f_equal. rewrite Sl. lia. }
      split.
      * intros (x & [<-|[]] & E & Ep). apply Hedge in E. destruct E as [E|E].
        -- exists high. rewrite Ph in Ep; auto.
        -- exists low. rewrite Pw in Ep; auto.
      * intros (x & [<-|[<-|[]]] & E & Ep); exists merged_node; rewrite Hedge; [rewrite Ph by auto|rewrite Pw by auto]; auto.
    + intros p. apply two_count. unfold pages_count. cbn. unfold pages_of, tail_pages; cbn. rewrite No_tail.
      rewrite !count_app. cbn. lia.
Qed.

Definition clipped_high := set_edge (firstn (floor P (stop high)) (n_path high)) (start high) (pages high) high.
Definition clipped_low := set_edge (n_path low) (floor P (stop high)) (pages low) low.
Lemma clip_ok : pages high <> [] -> stop high mod P <> 0 ->
  well_formed P ([clipped_high; clipped_low] ++ filter f ns) /\ same_map ns ([clipped_high; clipped_low] ++ filter f ns).
Proof.
  intros Np Mod.
  pose proof (wf_shape P ns W high Hh) as (S1 & S2 & S3). pose proof (wf_shape P ns W low Hl) as (T1 & T2 & T3).
  set (fl := floor P (stop high)).
  assert (F1 : fl < stop high) by (apply floor_lt; auto).
  assert (F2 : start high < fl).
  { assert (0 < length (pages high)) by (destruct (pages high); [congruence|cbn; lia]).
    unfold fl, floor. pose proof (Nat.div_mod (start high) P). pose proof (Nat.mod_upper_bound (start high) P).
    assert (start high / P + 1 <= stop high / P) by lia. nia. }
  assert (Lf : length (firstn fl (n_path high)) = fl) by (rewrite firstn_length; unfold stop in *; lia).
  assert (Eh : forall q, on_edge clipped_high q <-> on_edge high q /\ length q <= fl).
  { intros q. unfold on_edge, clipped_high; cbn. fold fl. split.
    - intros (Hq & L). pose proof (prefix_length _ _ Hq). rewrite Lf in *. repeat split; auto.
      eapply prefix_trans; eauto. apply prefix_firstn.
    - intros ((Hq & L) & L'). split; auto. apply prefix_of_firstn; auto. }
  assert (El : forall q, on_edge clipped_low q <-> (on_edge high q \/ on_edge low q) /\ fl < length q).
  { intros q. unfold on_edge, clipped_low; cbn. fold fl. split.
    - intros (Hq & L). split; auto. destruct (Nat.le_gt_cases (length q) (stop high)) as [L'|L'].
      + left. split; [|lia]. eapply prefix_both; eauto.
      + right. split; auto. lia.
    - intros ([(Hq & L)|(Hq & L)] & L'); split; auto. eapply prefix_trans; eauto. }
  assert (Hlow : forall q, on_edge low q -> fl < length q) by (intros q (_ & L); lia).
  assert (Edges : forall q, edge_of [clipped_high; clipped_low] q <-> edge_of [high; low] q).
  { intros q. unfold edge_of. cbn. split.
    - intros (x & [<-|[<-|[]]] & E); [apply Eh in E; exists high; tauto|]. apply El in E.
      destruct E as ([E|E] & _); [exists high|exists low]; auto.
    - intros (x & [<-|[<-|[]]] & E).
      + destruct (Nat.le_gt_cases (length q) fl); [exists clipped_high; rewrite Eh|exists clipped_low; rewrite El]; auto.
      + exists clipped_low. rewrite El. auto. }
  assert (Fd : fl / P = stop high / P) by apply floor_div.
  assert (Hsh : shape_ok P clipped_high).
  { unfold shape_ok, stop, clipped_high; cbn. fold fl. rewrite Lf, Fd, No_tail. repeat split; auto; congruence. }
  assert (Hsl : shape_ok P clipped_low).
  { unfold shape_ok, clipped_low, stop in *; cbn. fold fl. rewrite Fd, T2, Sl. repeat split; auto; lia. }
  split.
  - apply (replace_well_formed P ns [high; low]); auto using two_incl, two_f.
    + intros q E. left. apply Edges; auto.
    + intros x y q [<-|[<-|[]]] [<-|[<-|[]]]; rewrite ?Eh, ?El; auto; lia.
    + cbn. constructor; [|repeat constructor; auto]. intros [E|[]]. apply (f_equal (@length _)) in E. fold fl in E.
      rewrite Lf in E. unfold stop in *. lia.
    + intros x [<-|[<-|[]]]; auto.
    + intros x [<-|[<-|[]]].
      * apply parent_of_new; [reflexivity|]. cbn. fold fl. apply prefix_of_firstn; [apply prefix_firstn|].
        rewrite (parent_length P) by (apply (wf_shape P ns W high Hh)). lia.
      * right. left. unfold parent; cbn. fold fl. destruct Pl as (c & ->). rewrite firstn_app.
        replace (fl - length (n_path high)) with 0 by (unfold stop in *; lia). cbn. rewrite app_nil_r. reflexivity.
    + intros x Hx N. apply parent_of_rest; auto. right. left. reflexivity.
  - apply (recut_same_map ns [high; low]); auto using two_incl, two_f, two_dec.
    + intros k p. unfold full_entry. cbn.
      assert (Ph : page_on clipped_high k = page_on high k) by reflexivity.
      assert (Pw : on_edge low k -> page_on clipped_low k = page_on low k).
      { intros _. unfold page_on, clipped_low; cbn. fold fl. rewrite Fd, Sl. reflexivity. }
      assert (Pn : on_edge high k -> fl < length k -> page_on high k = None).
      { intros (Hk & L) L'. unfold page_on. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto. exfalso.
        apply prefix_length in Hk. pose proof (aligned_le_floor (length k) (stop high) M Hk). fold fl in H. lia. }
      assert (Pc : on_edge high k -> fl < length k -> page_on clipped_low k = None).
      { intros (Hk & L) L'. unfold page_on. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto. exfalso.
        apply prefix_length in Hk. pose proof (aligned_le_floor (length k) (stop high) M Hk). fold fl in H. lia. }
      split.
      * intros (x & [<-|[<-|[]]] & E & Ep).
        -- apply Eh in E. exists high. rewrite Ph in Ep. tauto.
        -- apply El in E. destruct E as ([E|E] & L); [rewrite Pc in Ep by auto; discriminate|].
           exists low. rewrite Pw in Ep; auto.
      * intros (x & [<-|[<-|[]]] & E & Ep).
        -- destruct (Nat.le_gt_cases (length k) fl) as [L|L]; [|rewrite Pn in Ep by auto; discriminate].
           exists clipped_high. rewrite Eh. auto.
        -- exists clipped_low. rewrite El, Pw; auto.
    + intros p. apply two_count. unfold pages_count. cbn. unfold pages_of, tail_pages; cbn. lia.
Qed.
End Two.

(* What try_merge may do: nothing, join the node with its only child, or leave the child the tokens past the node's
   last page. *)
Inductive merge_outcome (s : path) (ns : list node) : list node * bool -> Prop :=
| stays : (forall n, In n ns -> n_path n = s -> holds n = 0 -> tail n = None -> children s ns <> [] ->
            2 <= length (children s ns) \/ stop n mod P = 0) -> merge_outcome s ns (ns, false)
| merges high low : In high ns -> n_path high = s -> children s ns = [low] -> holds high = 0 -> tail high = None ->
    merge_outcome s ns (merged_node high low :: without (n_path high) (without (n_path low) ns), true)
| clips high low : In high ns -> n_path high = s -> children s ns = [low] -> holds high = 0 -> tail high = None ->
    pages high <> [] -> stop high mod P <> 0 ->
    merge_outcome s ns (clipped_high high :: clipped_low high low :: without (n_path high) (without (n_path low) ns), false).

Lemma try_merge_outcome s ns : well_formed P ns -> merge_outcome s ns (try_merge P s ns).
Proof.
  intros W. unfold try_merge. destruct (find_node s ns) as [high|] eqn:E.
  2:{ apply stays. intros n Hn En. exfalso. apply find_node_none in E. apply E, in_paths. eauto. }
  apply find_node_some in E. destruct E as (Hh & Eh).
  assert (U : forall n, In n ns -> n_path n = s -> n = high) by (intros; eapply same_node; eauto; congruence).
  destruct (children s ns) as [|low [|c cs]] eqn:C; [apply stays; rewrite C; tauto| |apply stays; rewrite C; cbn; left; lia].
  destruct (negb (holds high =? 0) || has_tail high) eqn:B.
  { apply stays. intros n Hn En Z T. apply U in En; auto. subst n. exfalso. rewrite Z in B. unfold has_tail in B.
    rewrite T in B. discriminate. }
  apply orb_false_iff in B. destruct B as (B1 & B2). apply negb_false_iff, Nat.eqb_eq in B1. unfold has_tail in B2.
  assert (T : tail high = None) by (destruct (tail high); [discriminate|reflexivity]).
  destruct (negb (is_pageless high) && negb (last_use high =? last_use low)) eqn:D.
  - destruct (Nat.eqb_spec (stop high mod P) 0) as [M|M].
    + apply stays. intros n Hn En _ _ _. apply U in En; auto. subst n. auto.
    + rewrite <- Eh in *. apply clips; auto. apply andb_true_iff in D. destruct D as (D & _). unfold is_pageless in D.
      unfold pages_of, tail_pages in D. rewrite T, app_nil_r in D. destruct (pages high); [discriminate|congruence].
  - rewrite <- Eh in *. apply merges; auto.
Qed.

Lemma only_child s ns high low : well_formed P ns -> In high ns -> n_path high = s -> children s ns = [low] ->
  In low ns /\ start low = stop high /\ prefix (n_path high) (n_path low) /\
  (forall x, In x ns -> start x = stop high -> prefix (n_path high) (n_path x) -> x = low).
Proof.
  intros W Hh <- C. assert (I : In low (children (n_path high) ns)) by (rewrite C; left; auto).
  apply in_children in I. destruct I as (Hl & Sl & Pl). repeat split; auto. intros x Hx Sx Px.
  assert (I : In x (children (n_path high) ns)) by (apply in_children; auto). rewrite C in I. destruct I as [->|[]]. auto.
Qed.

Theorem try_merge_ok s ns : well_formed P ns ->
  well_formed P (fst (try_merge P s ns)) /\ same_map ns (fst (try_merge P s ns)).
Proof.
  intros W. destruct (try_merge_outcome s ns W) as [_|high low Hh Eh C Z T|high low Hh Eh C Z T Np M]; cbn [fst].
  - auto using same_map_refl.
  - destruct (only_child s ns high low W Hh Eh C) as (Hl & Sl & Pl & Only).
    pose proof (merge_ok ns high low W Hh Hl Sl Pl Only T) as H. unfold without. rewrite filter_twice. exact H.
  - destruct (only_child s ns high low W Hh Eh C) as (Hl & Sl & Pl & Only).
    pose proof (clip_ok ns high low W Hh Hl Sl Pl Only T Np M) as H. unfold without. rewrite filter_twice. exact H.
Qed.
End Structure.
