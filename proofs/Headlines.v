(* Headlines: the theorems about the trie in the words of its contract (src/cache/radix_trie.h). `reachable` is any
   state that some sequence of operations leads to. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool WavlTree WavlRank WavlOrder LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk
  TrieGrow Invariant Leases Eviction Publish Reachable Extend.
Import ListNotations.

Section Headlines.
Variable P : nat.
Hypothesis P_positive : 0 < P.
Variable num_pages : nat.
Notation inv := (inv P num_pages).

Definition reachable (st : state) : Prop := exists ops, st = fold_left (step P) ops (initial num_pages).
Theorem invariant_always_holds st : reachable st -> inv st.
Proof. intros (ops & ->). apply reachable_inv; auto. Qed.

(* ---- the trie is a finite map *)
Theorem map_is_a_function st k p p' : reachable st -> full_entry P (nodes st) k p -> full_entry P (nodes st) k p' -> p = p'.
Proof. intros R. apply full_entry_unique. apply (i_wf _ _ _ _ _ (v_nodes _ _ _ (invariant_always_holds st R))). Qed.

(* Every full-page prefix of what is cached has a page. *)
Theorem map_is_complete st q : reachable st -> edge_of (nodes st) q -> length q mod P = 0 -> exists p, full_entry P (nodes st) q p.
Proof.
  intros R (n & Hn & E) M. pose proof (i_wf _ _ _ _ _ (v_nodes _ _ _ (invariant_always_holds st R))) as W.
  destruct (wf_shape P _ W n Hn) as (S1 & S2 & _). destruct E as (Pq & Lq).
  pose proof (div_lt_aligned P P_positive (start n) (length q) M Lq).
  pose proof (div_le P P_positive _ _ (prefix_length _ _ Pq)). fold (stop n) in *.
  destruct (nth_error (pages n) (length q / P - start n / P - 1)) as [p|] eqn:F.
  - exists p, n. split; auto. split; [split; auto|]. unfold page_on. rewrite M, Nat.eqb_refl. exact F.
  - exfalso. apply nth_error_None in F. rewrite S2 in F. lia.
Qed.

(* ---- match *)
Definition query_of (recompute_last_token : bool) (tokens : path) : path :=
  if recompute_last_token then firstn (length tokens - 1) tokens else tokens.

Theorem match_returns_the_longest_cached_prefix_and_its_pages st id r tokens hint : reachable st ->
  let query := query_of r tokens in
  let m := snd (match_ P id r tokens hint st) in
  m_matched m <= length query /\
  (m_matched m = 0 \/ edge_of (nodes st) (firstn (m_matched m) query)) /\
  (forall d, m_matched m < d -> d <= length query -> ~ edge_of (nodes st) (firstn d query)) /\
  length (m_pages m) = m_matched m / P /\
  (forall i p, nth_error (m_pages m) i = Some p -> full_entry P (nodes st) (firstn ((i + 1) * P) query) p).
Proof.
  intros R query m. pose proof (i_wf _ _ _ _ _ (v_nodes _ _ _ (invariant_always_holds st R))) as W.
  destruct (walk_from_root P P_positive query (nodes st) W) as [F1 F2 F3 F4 F5 F6 F7 F8 F9 F10].
  assert (E : m_matched m = w_depth (walk_from P [] query (nodes st)) /\ m_pages m = w_pages (walk_from P [] query (nodes st))).
  { unfold m, match_. fold query. unfold query_of in query. fold query. set (w := walk_from P [] query (nodes st)).
    destruct (end_node_at P (bottom_of w) (floor P (w_depth w)) (nodes st)) as [last ns1].
    destruct (if w_depth w =? floor P (w_depth w) then (None, hold last ns1)
              else find_copy_source P w (floor P (w_depth w)) hint (hold last ns1)) as [copy ns3]. split; reflexivity. }
  destruct E as (-> & ->). cbn [length] in *. rewrite Nat.div_0_l in * by lia. rewrite Nat.sub_0_r in F7.
  split; [exact F2|]. split; [exact F3|]. split; [exact F4|]. split; [exact F7|]. exact F8.
Qed.

(* ---- extend *)
Lemma move_lease_keeps id l to xo st : focus P num_pages id l (holds_of l) (own_pages l) [] xo st -> (xo = [] \/ xo = to) ->
  a_node to (nodes st) -> (forall n, In n (nodes st) -> n_path n = to -> stop n mod P = 0 \/ tail n <> None) ->
  (forall q, edge_of (nodes (move_lease P id to st)) q <-> edge_of (nodes st) q) /\
  (forall k p, full_entry P (nodes (move_lease P id to st)) k p <-> full_entry P (nodes st) k p).
Proof.
  intros C X A Sol. unfold move_lease. rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C).
  pose proof (c_nodes _ _ _ _ _ _ _ _ _ C) as V. destruct (same_path to (l_node l)).
  - destruct (touch_ok P to (tick st) _ _ _ V) as (_ & K). split; [apply (k_edges P _ _ K)|apply (k_entries P _ _ K)].
  - pose proof (hold_inv P P_positive to (nodes st) _ [] xo [] V A (match X with or_introl e => or_introl (eq_sym e) | or_intror e => or_intror e end) Sol) as V1.
    destruct (meta_ok P _ (nodes st) (hold_meta to) (i_wf _ _ _ _ _ V)) as (_ & Sm).
    set (st1 := set_lease id (mk_lease to (l_copy l) (l_private l)) (with_nodes st (hold to (nodes st)))).
    destruct (touch_ok P to (tick st1) _ _ _ V1) as (V2 & K2). unfold holds_of in V2. cbn [app] in V2.
    assert (V3 : node_inv P (nodes (touch_path to (tick st1)))
      (l_node l :: to :: match l_copy l with Some s => [s] | None => [] end ++ held_of (others id (leases st))) [] []).
    { eapply (node_inv_held P P_positive); [|exact V2]. intros s _. cbn [copies]. lia. }
    destruct (unhold_ok P P_positive (l_node l) (touch_path to (tick st1)) _ V3) as (_ & K3).
    split.
    + intros q. rewrite (k_edges P _ _ K3), (k_edges P _ _ K2). apply (same_edges P _ _ Sm).
    + intros k p. rewrite (k_entries P _ _ K3), (k_entries P _ _ K2). apply (same_entries P _ _ Sm).
Qed.

(* What a publication adds to the map: full pages past the prefix that was cached already. *)
Theorem publish_changes_the_map_at_the_new_sequence_only id tokens st l : inv st -> find_in id (leases st) = Some l -> l_copy l = None ->
  may_publish P l tokens = true -> length (l_node l) < length tokens ->
  let st' := fst (publish P id tokens st) in
  let depth := w_depth (walk_from P (l_node l) tokens (nodes st)) in
  (forall q, edge_of (nodes st') q <-> edge_of (nodes st) q \/ (prefix q tokens /\ depth < length q)) /\
  (forall k p, full_entry P (nodes st') k p <-> full_entry P (nodes st) k p \/
     (prefix k tokens /\ depth < length k /\ length k mod P = 0 /\
      nth_error (l_private l) (length k / P - length (l_node l) / P - 1) = Some p)).
Proof.
  intros V F Cp Mp Lt. pose proof Mp as Mp'. unfold may_publish in Mp'. rewrite andb_true_iff, is_prefix_spec, Nat.leb_le in Mp'.
  destruct Mp' as (Pl & Num). cbv zeta.
  unfold publish. rewrite find_lease_in, F. pose proof (inv_focus P P_positive num_pages id l st V F) as C.
  pose proof (v_nodes P num_pages st V) as Vn. pose proof (i_wf _ _ _ _ _ Vn) as W.
  assert (Al : a_node (l_node l) (nodes st)) by (apply (i_held _ _ _ _ _ (c_nodes _ _ _ _ _ _ _ _ _ C)); left; reflexivity).
  assert (Fd : found P (l_node l) tokens (nodes st) (walk_from P (l_node l) tokens (nodes st)))
    by (apply (walk_finds P P_positive); auto; lia).
  set (w := walk_from P (l_node l) tokens (nodes st)) in *. destruct Fd as [F1 F2 F3 F4 F5 F6 F7 _ _ _].
  destruct F5 as (Aw & Pw & _ & Lw).
  assert (Nothing : w_depth w = length tokens -> forall ns', (forall q, edge_of ns' q <-> edge_of (nodes st) q) ->
    (forall k p, full_entry P ns' k p <-> full_entry P (nodes st) k p) ->
    (forall q, edge_of ns' q <-> edge_of (nodes st) q \/ (prefix q tokens /\ w_depth w < length q)) /\
    (forall k p, full_entry P ns' k p <-> full_entry P (nodes st) k p \/
      (prefix k tokens /\ w_depth w < length k /\ length k mod P = 0 /\
       nth_error (l_private l) (length k / P - length (l_node l) / P - 1) = Some p))).
  { intros Q ns' E G. split.
    - intros q. rewrite E. split; auto. intros [H|(H & L)]; auto. apply prefix_length in H. lia.
    - intros k p. rewrite G. split; auto. intros [H|(H & L & _)]; auto. apply prefix_length in H. lia. }
  destruct ((w_depth w =? length tokens) && negb (w_depth w mod P =? 0)) eqn:Early; cbn [fst].
  { apply andb_true_iff in Early. destruct Early as (Q & _). apply Nat.eqb_eq in Q. apply (Nothing Q).
    - unfold move_lease. rewrite find_lease_in, F, same_path_refl. destruct (touch_ok P (l_node l) (tick st) _ _ _ Vn) as (_ & K). apply (k_edges P _ _ K).
    - unfold move_lease. rewrite find_lease_in, F, same_path_refl. destruct (touch_ok P (l_node l) (tick st) _ _ _ Vn) as (_ & K). apply (k_entries P _ _ K). }
  set (pair := match w_child w with
               | Some c => match find_node c (nodes st) with
                           | Some n => (firstn (w_depth w) c, with_nodes st (split P n (w_depth w) (nodes st)))
                           | None => (w_node w, st) end
               | None => (w_node w, st) end).
  assert (X : exists xb, focus P num_pages id l (holds_of l) (own_pages l) xb [] (snd pair) /\ a_node (fst pair) (nodes (snd pair)) /\
    prefix (fst pair) tokens /\ length (fst pair) = w_depth w /\ same_map P (nodes st) (nodes (snd pair)) /\
    (xb = [] \/ (w_depth w mod P <> 0 /\ xb = fst pair /\ exists b, edge_of (nodes (snd pair)) (fst pair ++ [b])))).
  { apply (hang_point P P_positive num_pages id l st tokens w); auto. }
  destruct pair as [s st1]. cbn [fst snd] in X. destruct X as (xb & C1 & A1 & Ps & Ls & Sm & Xb).
  destruct (free_private_ok P P_positive num_pages id l (length (w_pages w)) xb st1 C1) as (C2 & N2).
  set (st2 := free_private_pages id (length (w_pages w)) st1) in *.
  set (l2 := mk_lease (l_node l) (l_copy l) (skipn (length (w_pages w)) (l_private l))) in *.
  rewrite <- N2 in A1. destruct (Nat.eqb_spec (w_depth w) (length tokens)) as [Q|Q].
  - cbn [andb] in Early. apply negb_false_iff, Nat.eqb_eq in Early. destruct Xb as [->|(Xb & _)]; [|congruence].
    assert (s = tokens) by (apply prefix_same_length; auto; lia). subst s.
    destruct (move_lease_keeps id l2 tokens [] st2 C2) as (E & G); auto.
    { intros n Hn En. left. unfold stop. rewrite En. congruence. }
    apply (Nothing Q).
    + intros q. rewrite E, N2. apply (same_edges P _ _ Sm).
    + intros k p. rewrite G, N2. apply (same_entries P _ _ Sm).
  - rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C2).
    assert (Nx : ~ edge_of (nodes st2) (firstn (S (length s)) tokens)).
    { rewrite N2, (same_edges P _ _ Sm), Ls. apply F4; lia. }
    assert (Num2 : ceiling_pages P (length tokens) - length s / P <= length (l_private l2)).
    { cbn [l_private l2]. rewrite skipn_length, F7, Ls. pose proof (div_le P P_positive _ _ F1). lia. }
    assert (Xb2 : xb = [] \/ (xb = s /\ exists b, edge_of (nodes st2) (s ++ [b]))).
    { destruct Xb as [->|(_ & -> & Xb)]; auto. right. split; auto. rewrite N2. exact Xb. }
    destruct (attach_run_ok P P_positive num_pages id l2 s xb tokens st2 C2 A1 Ps ltac:(lia) Nx Xb2 Cp Num2) as (l3 & Cp3 & Nl3 & C3 & A3 & Sol3).
    assert (Xo : (if same_path (l_node l3) tokens then [] else tokens) = [] \/ (if same_path (l_node l3) tokens then [] else tokens) = tokens)
      by (destruct (same_path (l_node l3) tokens); auto).
    destruct (move_lease_keeps id l3 tokens _ _ C3 Xo A3 Sol3) as (E & G).
    destruct (attach_run_map P P_positive num_pages id l2 s xb tokens st2 C2 A1 Ps ltac:(lia) Nx Xb2 Cp Num2) as (E2 & G2).
    split.
    + intros q. rewrite E, E2, N2, (same_edges P _ _ Sm), Ls. tauto.
    + intros k p. rewrite G, G2, N2, (same_entries P _ _ Sm). unfold run_entry. rewrite Ls.
      assert (Ix : prefix k tokens -> w_depth w < length k -> length k mod P = 0 ->
        nth_error (firstn (ceiling_pages P (length tokens) - w_depth w / P) (l_private l2)) (length k / P - w_depth w / P - 1) =
        nth_error (l_private l) (length k / P - length (l_node l) / P - 1)).
      { intros Pk Lk M. pose proof (div_lt_aligned P P_positive _ _ M Lk). pose proof (div_le P P_positive _ _ F1).
        pose proof (div_le P P_positive _ _ (prefix_length _ _ Pk)). rewrite (ceiling_spec P P_positive) in *.
        rewrite nth_error_firstn by (destruct (length tokens mod P =? 0); lia).
        cbn [l_private l2]. rewrite nth_error_skipn, F7. f_equal. lia. }
      split; (intros [H|(H1 & H2 & H3 & H4)]; [left; exact H|right]); rewrite ?Ix in * by auto; repeat split; auto.
Qed.

(* ---- pages *)
Theorem each_page_is_in_exactly_one_place st p : reachable st ->
  count p (free st) + pages_count p (nodes st) + count p (private_of (leases st)) = if p <? num_pages then 1 else 0.
Proof. intros R. apply (v_pages _ _ _ (invariant_always_holds st R)). Qed.

(* ---- holds *)
Theorem hold_counts_are_the_live_leases st n : reachable st -> In n (nodes st) ->
  holds n = copies (n_path n) (held_of (leases st)) + (if pinned n then 1 else 0).
Proof. intros R. apply (i_holds _ _ _ _ _ (v_nodes _ _ _ (invariant_always_holds st R))). Qed.
Lemma release_leases st id : leases (release P id st) = others id (leases st).
Proof.
  unfold release. rewrite find_lease_in. destruct (find_in id (leases st)) as [l|] eqn:F.
  - rewrite release_hold_leases. destruct (l_copy l); cbn [leases with_free]; [rewrite release_hold_leases|]; reflexivity.
  - symmetry. apply others_none, find_in_none, F.
Qed.
(* Whatever happened between match and release: a release takes away the holds of its own lease and no other. *)
Theorem release_takes_its_own_holds_only st id l s : reachable st -> find_in id (leases st) = Some l ->
  copies s (held_of (leases (release P id st))) + copies s (holds_of l) = copies s (held_of (leases st)).
Proof.
  intros R F. rewrite release_leases. pose proof (v_names _ _ _ (invariant_always_holds st R)) as N.
  destruct (table_split id (leases st) l N F) as (H & _). rewrite H. lia.
Qed.
Theorem no_lease_no_hold st n : reachable st -> leases st = [] -> In n (nodes st) -> holds n = if pinned n then 1 else 0.
Proof. intros R E Hn. rewrite (hold_counts_are_the_live_leases st n R Hn), E. reflexivity. Qed.

(* ---- evict *)
Theorem evict_frees_only_what_no_hold_reaches st num s k p : reachable st -> In s (held_of (leases st)) -> prefix k s ->
  full_entry P (nodes st) k p -> full_entry P (nodes (snd (evict P num st))) k p.
Proof.
  intros R I Pk H. pose proof (v_nodes _ _ _ (invariant_always_holds st R)) as V. unfold evict.
  pose proof (evict_loop_ok P P_positive (2 * length (nodes st) + 1) num 0 st _ V (Nat.le_0_l _)) as X.
  destruct (evict_loop P (2 * length (nodes st) + 1) num 0 st) as [freed st']. destruct X as (_ & E & _).
  apply (e_safe P _ _ _ E s); auto.
Qed.
Theorem evict_counts_what_it_frees st num : reachable st ->
  let (freed, st') := evict P num st in freed <= num /\ length (free st') = length (free st) + freed /\ leases st' = leases st /\
  (forall k p, full_entry P (nodes st') k p -> full_entry P (nodes st) k p).
Proof.
  intros R. pose proof (v_nodes _ _ _ (invariant_always_holds st R)) as V. unfold evict.
  pose proof (evict_loop_ok P P_positive (2 * length (nodes st) + 1) num 0 st _ V (Nat.le_0_l _)) as X.
  destruct (evict_loop P (2 * length (nodes st) + 1) num 0 st) as [freed st']. destruct X as (_ & E & L1 & L2).
  split; [lia|]. split; [lia|]. split; [apply (e_leases P _ _ _ E)|apply (e_less P _ _ _ E)].
Qed.

(* Each turn of the loop takes a node away or out of the order; so it ends because it is done or the order is empty. *)
Definition weight (ns : list node) : nat := sum (fun n => 1 + (if in_order n then 1 else 0)) ns.
Lemma weight_le ns : weight ns <= 2 * length ns.
Proof. unfold weight. induction ns as [|n ns IH]; cbn; auto. unfold sum in IH. cbn in IH. destruct (in_order n); lia. Qed.
Lemma weight_merge s ns : well_formed P ns -> weight (fst (try_merge P s ns)) <= weight ns.
Proof.
  intros W. unfold weight. destruct (try_merge_outcome P P_positive s ns W) as [_|high low Hh Eh C Z T|high low Hh Eh C Z T Np M]; cbn [fst]; auto;
    destruct (only_child P s ns high low W Hh Eh C) as (Hl & Sl & Pl & _);
    (assert (Hh' : In high (without (n_path low) ns));
     [apply in_without; split; auto; intros E; pose proof (wf_shape P ns W low Hl) as (Sw & _); unfold stop in *; rewrite E in Sl; lia|]);
    rewrite (sum_without _ ns low (wf_nodup P ns W) Hl);
    rewrite (sum_without _ (without (n_path low) ns) high) by (auto; apply nodup_filter, (wf_nodup P ns W));
    rewrite !sum_cons; cbn [in_order merged_node clipped_high clipped_low set_edge]; destruct (in_order high), (in_order low); lia.
Qed.
Lemma weight_remove n ns held : node_inv P ns held [] [] -> In n ns -> leaf ns (n_path n) -> in_order n = true ->
  weight (remove_leaf P n ns) < weight ns.
Proof.
  intros V Hn Lf O. pose proof (i_wf _ _ _ _ _ V) as W. unfold remove_leaf.
  destruct (without_leaf_ok P P_positive ns n W Hn Lf) as (W1 & _).
  assert (E : weight ns = 2 + weight (without (n_path n) ns)).
  { unfold weight. rewrite (sum_without _ ns n (wf_nodup P ns W) Hn), O. reflexivity. }
  rewrite E. destruct (find_node (parent n) (without (n_path n) ns)) as [p|] eqn:F; [|lia].
  apply find_node_some in F. destruct F as (Hp & Ep). destruct (is_leaf (parent n) (without (n_path n) ns)).
  - destruct (holds p =? 0); [|lia].
    pose proof (sum_update P P_positive (fun n => 1 + (if in_order n then 1 else 0)) (parent n) (set_order true) _ p (wf_nodup P _ W1) Hp Ep) as H.
    cbn [in_order set_order] in H. unfold weight. destruct (in_order p); lia.
  - pose proof (weight_merge (parent n) _ W1). lia.
Qed.
Lemma evict_loop_done fuel num freed st held : node_inv P (nodes st) held [] [] -> weight (nodes st) < fuel ->
  let (freed', st') := evict_loop P fuel num freed st in num <= freed' \/ oldest (nodes st') = None.
Proof.
  revert freed st. induction fuel as [|fuel IH]; intros freed st V Lw; [lia|]. cbn [evict_loop].
  destruct (Nat.ltb_spec freed num) as [Lt|Ge]; [|left; auto].
  pose proof (oldest_spec P P_positive (nodes st)) as Old. destruct (oldest (nodes st)) as [n|] eqn:On; [|right; auto].
  destruct Old as (Hn & O & _). pose proof (i_leaf _ _ _ _ _ V n Hn O) as Lf.
  destruct (Nat.eqb_spec (holds n) 0) as [Z|Z]; cbn [negb].
  - set (wanted := Nat.min (num - freed) (length (pages_of n))).
    destruct (trim_leaf_ok P P_positive n wanted st held V Hn Z O) as (V1 & _ & _); [lia| |].
    { unfold wanted. intros H. destruct (pages_of n); auto. cbn in H. lia. }
    destruct (Nat.eq_dec (length (pages_of n) - wanted) 0) as [K|K].
    + apply IH; auto. unfold trim_leaf. rewrite K. cbn [Nat.eqb nodes].
      pose proof (weight_remove n (nodes st) held V Hn Lf O). lia.
    + assert (E : freed + wanted = num) by lia. rewrite E. destruct fuel; cbn [evict_loop]; [left; lia|].
      rewrite Nat.ltb_irrefl. left. lia.
  - destruct (unorder_inv P n (nodes st) held V Hn Z) as (V1 & _). apply IH; [exact V1|].
    cbn [nodes with_nodes]. pose proof (i_wf _ _ _ _ _ V) as W.
    pose proof (sum_update P P_positive (fun n => 1 + (if in_order n then 1 else 0)) (n_path n) (set_order false) _ n (wf_nodup P _ W) Hn eq_refl) as H.
    cbn [in_order set_order] in H. rewrite O in H. unfold weight in *. lia.
Qed.
Lemma below_a_hold ns held : node_inv P ns held [] [] -> (forall m, In m ns -> in_order m = false) ->
  forall n, In n ns -> exists m, In m ns /\ holds m <> 0 /\ prefix (n_path n) (n_path m).
Proof.
  intros V NO. pose proof (i_wf _ _ _ _ _ V) as W.
  assert (B : exists b, forall n, In n ns -> stop n <= b).
  { clear. induction ns as [|x ns (b & IH)]; [exists 0; intros n []|]. exists (Nat.max (stop x) b).
    intros n [<-|Hn]; [lia|]. specialize (IH n Hn). lia. }
  destruct B as (b & B). intros n. remember (b - stop n) as k eqn:Hk. revert n Hk. induction k as [k IH] using lt_wf_ind.
  intros n -> Hn. assert (A : a_node (n_path n) ns) by (right; apply in_paths; eauto).
  destruct (is_leaf (n_path n) ns) eqn:L.
  - exists n. split; auto. split; [|apply prefix_refl]. intros Z. apply (is_leaf_spec P P_positive ns _ W A) in L.
    pose proof (i_order _ _ _ _ _ V n Hn (path_not_nil P P_positive ns n W Hn) L Z) as O. rewrite (NO n Hn) in O. discriminate.
  - unfold is_leaf in L. destruct (children (n_path n) ns) as [|c cs] eqn:C; [discriminate|].
    assert (Ic : In c (children (n_path n) ns)) by (rewrite C; left; auto). apply in_children in Ic. destruct Ic as (Hc & Sc & Pc).
    pose proof (wf_shape P ns W c Hc) as (S1 & _). pose proof (B c Hc) as Bc. fold (stop n) in Sc.
    destruct (IH (b - stop c)) with (n := c) as (m & Hm & Zm & Pm); auto; [lia|].
    exists m. split; auto. split; auto. eapply prefix_trans; eauto.
Qed.
(* evict gives up early only when every node that is left lies on the path of a hold: nothing more is free to go. *)
Theorem evict_frees_enough st num : reachable st ->
  let (freed, st') := evict P num st in
  freed = num \/ (forall n, In n (nodes st') -> exists m, In m (nodes st') /\ holds m <> 0 /\ prefix (n_path n) (n_path m)).
Proof.
  intros R. pose proof (v_nodes _ _ _ (invariant_always_holds st R)) as V. unfold evict.
  pose proof (evict_loop_ok P P_positive (2 * length (nodes st) + 1) num 0 st _ V (Nat.le_0_l _)) as X.
  pose proof (evict_loop_done (2 * length (nodes st) + 1) num 0 st _ V) as Y. pose proof (weight_le (nodes st)).
  destruct (evict_loop P (2 * length (nodes st) + 1) num 0 st) as [freed st']. destruct X as (V' & _ & L & _).
  destruct (Y ltac:(lia)) as [D|D]; [left; lia|right]. pose proof (oldest_spec P P_positive (nodes st')) as Old. rewrite D in Old.
  eapply below_a_hold; eauto.
Qed.
Theorem evict_takes_the_oldest_leaf_first ns n : oldest ns = Some n ->
  In n ns /\ in_order n = true /\ forall m, In m ns -> in_order m = true -> last_use n <= last_use m.
Proof. intros E. pose proof (oldest_spec P P_positive ns) as H. rewrite E in H. exact H. Qed.
(* and every leaf that nobody holds stands in the order. *)
Theorem every_free_leaf_stands_in_the_order st n : reachable st -> In n (nodes st) -> is_leaf (n_path n) (nodes st) = true ->
  holds n = 0 -> in_order n = true.
Proof.
  intros R Hn L Z. pose proof (v_nodes _ _ _ (invariant_always_holds st R)) as V. pose proof (i_wf _ _ _ _ _ V) as W.
  apply (i_order _ _ _ _ _ V n Hn); auto; [apply (path_not_nil P P_positive _ n W Hn)|].
  apply (is_leaf_spec P P_positive _ _ W); auto. right. apply in_paths. eauto.
Qed.

(* ---- costs *)
(* A match looks up one child more than the tokens it matches, at most, and compares one token more at most. *)
Theorem match_cost st id r tokens hint : reachable st ->
  let m := snd (match_ P id r tokens hint st) in
  m_steps m <= m_matched m + 1 /\ m_compared m <= m_matched m + 1.
Proof.
  intros R m. pose proof (i_wf _ _ _ _ _ (v_nodes _ _ _ (invariant_always_holds st R))) as W.
  destruct (walk_from_root P P_positive (query_of r tokens) (nodes st) W) as [F1 F2 F3 F4 F5 F6 F7 F8 F9 F10].
  unfold m, match_. change (if r then firstn (length tokens - 1) tokens else tokens) with (query_of r tokens).
  set (w := walk_from P [] (query_of r tokens) (nodes st)) in *. cbn [length] in *.
  destruct (end_node_at P (bottom_of w) (floor P (w_depth w)) (nodes st)) as [last ns1].
  destruct (if w_depth w =? floor P (w_depth w) then (None, hold last ns1)
            else find_copy_source P w (floor P (w_depth w)) hint (hold last ns1)) as [copy ns3].
  cbn [snd m_steps m_compared m_matched]. lia.
Qed.
(* A lookup in a WAVL tree of the children's first tokens costs at most 2 log2(children + 1) comparisons, and finds a
   child exactly when the model does. *)
Theorem lookup_cost (t : tree nat) key : ranked t -> snd (WavlTree.find less_key key t) <= 2 * Nat.log2 (size t + 1).
Proof. intros R. pose proof (find_cost _ less_key key t). pose proof (height_bound _ t R). lia. Qed.
Theorem lookup_is_child_at (t : tree nat) s key ns : ordered _ less_key t ->
  (forall k, In k (elements t) <-> exists c, In c (children s ns) /\ nth (length s) (n_path c) 0 = k) ->
  (fst (WavlTree.find less_key key t) <> None <-> child_at s key ns <> None).
Proof.
  intros O E. destruct (find_spec _ less_key less_key_irreflexive less_key_transitive less_key_total key t O) as [(-> & I)|(-> & I)].
  - split; [intros _|discriminate]. apply E in I. destruct I as (c & Hc & Kc). intros N. unfold child_at in N.
    eapply find_none in N; eauto. cbn in N. apply Nat.eqb_neq in N. auto.
  - split; [congruence|]. intros N. exfalso. apply I, E. destruct (child_at s key ns) as [c|] eqn:C; [|congruence].
    unfold child_at in C. apply find_some in C. destruct C as (Hc & Kc). apply Nat.eqb_eq in Kc. eauto.
Qed.
End Headlines.
